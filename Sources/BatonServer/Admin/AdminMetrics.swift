internal import BatonConfiguration
internal import CoreMetrics

/// The Prometheus page. The numbers are counted in other processes, so the page is made anew for each reader.
enum AdminMetrics {
    private static let descriptions = [
        "baton_build_info": "The version of the running server.",
        "baton_uptime_seconds": "Seconds since this process became the front.",
        "baton_serving": "1 while the server accepts connections.",
        "baton_workers": "Worker processes by state.",
        "baton_connections": "Open connections by worker; of the worker 'front' those that are in their handshake.",
        "baton_handshakes_total": "Finished TLS handshakes.",
        "baton_handshake_failures_total": "TLS handshakes that ended without a connection.",
        "baton_refused_connections_total": "Connections closed before they had a target.",
        "baton_placements_total": "New connections that the front handed to a worker.",
        "baton_handoffs_total":
            "Connections handed between processes, as each worker saw it. Workers that have ended are counted as 'gone'.",
        "baton_handoff_failures_total":
            "Connections that were offered to a process and not taken. Most are offered again.",
        "baton_idle_closed_total": "Connections closed because they passed no byte for the listener's idle-time.",
        "baton_inherited_connections_total": "Connections that went on in another worker when theirs had died.",
        "baton_lost_connections_total": "Connections that ended with their worker's death.",
        "baton_tls_faults_total":
            "Established connections that TLS ended: the peer broke the protocol, flooded, or sent a fatal alert.",
        "baton_log_dropped_lines_total":
            "Lines of the log that were not written, because their reader stood still or there was no room.",
        "baton_pause_seconds": "How long connections stood still when they moved.",
    ]

    static func text(_ report: AdminReport) -> String {
        let metrics = PrometheusMetrics(descriptions: descriptions)
        func gauge(_ name: String, _ value: Double, _ labels: [(String, String)] = []) {
            metrics.makeMeter(label: name, dimensions: labels).set(value)
        }
        func counter(_ name: String, _ value: Int, _ labels: [(String, String)] = []) {
            metrics.makeCounter(label: name, dimensions: labels).increment(by: Int64(value))
        }
        gauge("baton_build_info", 1, [("version", report.version)])
        gauge("baton_uptime_seconds", report.uptime)
        gauge("baton_serving", report.phase == "serving" || report.phase == "replacing" ? 1 : 0)
        for (state, workers) in Dictionary(grouping: report.workers, by: \.state) {
            gauge("baton_workers", Double(workers.count), [("state", state)])
        }
        gauge("baton_connections", Double(report.handshaking), [("worker", "front")])
        for (key, number) in report.counts.handshakes {
            let labels = FrontCounts.handshakeLabels(key)
            counter("baton_handshakes_total", number, [("version", labels.version), ("cipher", labels.cipher)])
        }
        for (reason, number) in report.counts.handshakeFailures {
            counter("baton_handshake_failures_total", number, [("reason", reason)])
        }
        var refusals = report.counts.refusals
        for worker in report.workers.map(\.report) + [report.gone] { refusals.add(worker.refusals) }
        for (reason, number) in refusals {
            counter("baton_refused_connections_total", number, [("reason", reason)])
        }
        counter("baton_placements_total", report.counts.handedOver)
        for (reason, number) in report.counts.handoffFailures {
            counter("baton_handoff_failures_total", number, [("worker", "front"), ("reason", reason)])
        }
        counter("baton_log_dropped_lines_total", report.droppedLogLines)
        var pauses = report.gone.pauses
        for worker in report.workers {
            gauge("baton_connections", Double(worker.report.connections), [("worker", "\(worker.number)")])
            pauses.merge(worker.report.pauses)
        }
        for (name, worker) in report.workers.map({ ("\($0.number)", $0.report) }) + [("gone", report.gone)] {
            counter("baton_handoffs_total", worker.movesIn, [("worker", name), ("direction", "in")])
            counter("baton_handoffs_total", worker.movesOut, [("worker", name), ("direction", "out")])
            counter("baton_idle_closed_total", worker.idleClosed, [("worker", name)])
            counter("baton_inherited_connections_total", worker.inherited, [("worker", name)])
            for (reason, number) in worker.lost {
                counter("baton_lost_connections_total", number, [("worker", name), ("reason", reason)])
            }
            for (reason, number) in worker.faults {
                counter("baton_tls_faults_total", number, [("worker", name), ("reason", reason)])
            }
            for (reason, number) in worker.failures {
                counter("baton_handoff_failures_total", number, [("worker", name), ("reason", reason)])
            }
        }
        write(pauses, metrics)
        return metrics.exposition()
    }

    private static func write(_ pauses: PauseHistogram, _ metrics: PrometheusMetrics) {
        guard let histogram = metrics.makeTimer(label: "baton_pause_seconds", dimensions: []) as? PrometheusHistogram
        else { return }
        // The sum is exact, the buckets to 3 %.
        for bucket in pauses.filled { histogram.record(Double(bucket.nanoseconds) / 1e9, count: bucket.count, sum: 0) }
        histogram.record(0, count: 0, sum: Double(pauses.sum) / 1e9)
    }
}
