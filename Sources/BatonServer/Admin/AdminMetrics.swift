internal import BatonConfiguration
internal import CoreMetrics

/// The Prometheus page. The numbers are counted in other processes, so the page is made anew for each reader.
enum AdminMetrics {
    static let descriptions = [
        "baton_build_info": "The version of the running server.",
        "baton_uptime_seconds": "Seconds since this process became the front.",
        "baton_upgrades_total": "Upgrades since the service began.",
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
        "baton_lifetime_closed_total": "Connections closed because they were older than their upstream's max-lifetime.",
        "baton_upstream_up": "1 while nothing stands against new connections to an upstream's address.",
        "baton_upstream_weight": "The weight of an upstream's address; 0 while it gets no new connections.",
        "baton_upstream_connections": "Connections to an upstream's address, those that are being opened included.",
        "baton_upstream_opened_total": "Connections to an upstream's address that were opened.",
        "baton_upstream_failures_total": "Connections to an upstream's address that could not be opened.",
        "baton_upstream_check_failures_total":
            "Checks of an upstream's address that failed, since this process became the front.",
        "baton_inherited_connections_total": "Connections that went on in another worker when theirs had died.",
        "baton_lost_connections_total": "Connections that ended with their worker's death.",
        "baton_tls_faults_total":
            "Established connections that TLS ended: the peer broke the protocol, flooded, or sent a fatal alert.",
        "baton_certificate_not_after_seconds":
            "The last second that a certificate is valid, since 1970, by its name in the configuration.",
        "baton_log_dropped_lines_total":
            "Lines of the log that were not written, because their reader stood still or there was no room.",
        "baton_access_log_dropped_lines_total":
            "Lines of the access log that were not written, because their reader stood still or there was no room.",
        "baton_accepted_connections_total": "Connections that were accepted and let in, by listener.",
        "baton_routed_connections_total": "Connections that a route was found for, by route.",
        "baton_listener_connections": "Open connections that a worker has, by listener.",
        "baton_route_connections": "Open connections that a worker has, by route.",
        "baton_connection_bytes_total":
            "Bytes on the wire between clients and the server, by listener. Without handshakes; told every second.",
        "baton_upstream_bytes_total":
            "Bytes on the wire between the server and its upstreams. In is from the upstream; told every second.",
        "baton_upstream_errors_total":
            "Connections for which an upstream could not be reached, and such as an upstream has broken off, by reason.",
        "baton_upstream_connect_seconds":
            "How long it took until an upstream was connected and ready, with TLS and failed addresses.",
        "baton_ended_connections_total":
            "Connections that have ended in a worker, by how, in the access log's words.",
        "baton_connections_limit": "The most connections that are let in (limits.connections).",
        "baton_reloads_total": "How often the configuration has been read again, by result.",
        "baton_last_reload_success": "1 if the last reload has succeeded, 0 if not.",
        "baton_last_reload_timestamp_seconds": "When the last reload ended, in seconds since 1970.",
        "baton_last_reload_duration_seconds": "How long the last reload took.",
        "baton_open_descriptors": "Open file descriptors of a process; the worker 'front' is the front.",
        "baton_max_descriptors": "The most file descriptors that a process may have.",
        "baton_process_deaths_total": "Processes that have died, by kind.",
        "baton_pause_seconds": "How long connections stood still when they moved.",
    ]

    static func text(_ report: AdminReport) -> String {
        let metrics = PrometheusMetrics(
            descriptions: descriptions, buckets: ["baton_upstream_connect_seconds": connectBuckets])
        func gauge(_ name: String, _ value: Double, _ labels: [(String, String)] = []) {
            metrics.makeMeter(label: name, dimensions: labels).set(value)
        }
        func counter(_ name: String, _ value: Int, _ labels: [(String, String)] = []) {
            metrics.makeCounter(label: name, dimensions: labels).increment(by: Int64(value))
        }
        gauge("baton_build_info", 1, [("version", report.version)])
        gauge("baton_uptime_seconds", report.uptime)
        counter("baton_upgrades_total", report.upgrades)
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
        for (name, notAfter) in report.certificates {
            gauge("baton_certificate_not_after_seconds", Double(notAfter), [("certificate", name)])
        }
        counter("baton_log_dropped_lines_total", report.droppedLogLines)
        counter("baton_access_log_dropped_lines_total", report.droppedAccessLines)
        gauge("baton_connections_limit", Double(report.connectionLimit))
        counter("baton_process_deaths_total", report.deaths.front, [("process", "front")])
        counter("baton_process_deaths_total", report.deaths.workers, [("process", "worker")])
        writeReloads(report.counts.reloads, metrics)
        writeConnections(report, metrics)
        gauge("baton_open_descriptors", Double(report.openDescriptors), [("worker", "front")])
        gauge("baton_max_descriptors", Double(report.maxDescriptors), [("worker", "front")])
        // An older worker does not tell its own.
        for worker in report.workers where worker.report.maxDescriptors > 0 {
            gauge("baton_open_descriptors", Double(worker.report.openDescriptors), [("worker", "\(worker.number)")])
            gauge("baton_max_descriptors", Double(worker.report.maxDescriptors), [("worker", "\(worker.number)")])
        }
        var pauses = report.gone.pauses
        for worker in report.workers {
            gauge("baton_connections", Double(worker.report.connections), [("worker", "\(worker.number)")])
            pauses.merge(worker.report.pauses)
        }
        for (name, worker) in report.workers.map({ ("\($0.number)", $0.report) }) + [("gone", report.gone)] {
            counter("baton_handoffs_total", worker.movesIn, [("worker", name), ("direction", "in")])
            counter("baton_handoffs_total", worker.movesOut, [("worker", name), ("direction", "out")])
            counter("baton_idle_closed_total", worker.idleClosed, [("worker", name)])
            counter("baton_lifetime_closed_total", worker.lifetimeClosed, [("worker", name)])
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
        for row in report.upstreams {
            let labels = [("upstream", row.upstream), ("address", row.address)]
            gauge("baton_upstream_up", row.isUp ? 1 : 0, labels)
            gauge("baton_upstream_weight", Double(row.weight), labels)
            gauge("baton_upstream_connections", Double(row.connections), labels)
            counter("baton_upstream_opened_total", row.opened, labels)
            counter("baton_upstream_failures_total", row.failed, labels)
            counter("baton_upstream_check_failures_total", row.checkFailures ?? 0, labels)
        }
        write(pauses, to: "baton_pause_seconds", [], metrics)
        return metrics.exposition()
    }

    private static func writeReloads(_ reloads: ReloadCounts, _ metrics: PrometheusMetrics) {
        for (result, count) in [("success", reloads.succeeded), ("failure", reloads.failed)] {
            metrics.makeCounter(label: "baton_reloads_total", dimensions: [("result", result)])
                .increment(by: Int64(count))
        }
        guard let hasSucceeded = reloads.lastHasSucceeded else { return }
        metrics.makeMeter(label: "baton_last_reload_success", dimensions: []).set(hasSucceeded ? 1.0 : 0.0)
        metrics.makeMeter(label: "baton_last_reload_timestamp_seconds", dimensions: []).set(Double(reloads.lastAt))
        metrics.makeMeter(label: "baton_last_reload_duration_seconds", dimensions: []).set(reloads.lastDuration)
    }

    /// What all workers have told, and those that are gone, by names of the configuration.
    private static func writeConnections(_ report: AdminReport, _ metrics: PrometheusMetrics) {
        func counter(_ name: String, _ value: Int64, _ labels: [(String, String)]) {
            metrics.makeCounter(label: name, dimensions: labels).increment(by: value)
        }
        func gauge(_ name: String, _ value: Int, _ labels: [(String, String)]) {
            metrics.makeMeter(label: name, dimensions: labels).set(Double(value))
        }
        var total = report.gone
        var (listeners, routes): ([String: Int], [String: Int]) = ([:], [:])
        for worker in report.workers.map(\.report) {
            total.add(worker)
            listeners.add(worker.listenerConnections)
            routes.add(worker.routeConnections)
        }
        for (name, number) in listeners { gauge("baton_listener_connections", number, [("listener", name)]) }
        for (name, number) in routes { gauge("baton_route_connections", number, [("route", name)]) }
        for (name, number) in report.counts.accepted {
            counter("baton_accepted_connections_total", Int64(number), [("listener", name)])
        }
        var routed = report.counts.routed
        routed.add(total.routed)
        for (name, number) in routed { counter("baton_routed_connections_total", Int64(number), [("route", name)]) }
        for (name, bytes) in total.traffic.listeners {
            let labels = [("listener", name)]
            counter("baton_connection_bytes_total", Int64(clamping: bytes.received), labels + [("direction", "in")])
            counter("baton_connection_bytes_total", Int64(clamping: bytes.sent), labels + [("direction", "out")])
        }
        for (name, bytes) in total.traffic.upstreams {
            let labels = [("upstream", name)]
            counter("baton_upstream_bytes_total", Int64(clamping: bytes.received), labels + [("direction", "in")])
            counter("baton_upstream_bytes_total", Int64(clamping: bytes.sent), labels + [("direction", "out")])
        }
        for (name, errors) in total.upstreamErrors {
            for (reason, number) in errors {
                counter("baton_upstream_errors_total", Int64(number), [("upstream", name), ("reason", reason)])
            }
        }
        for (name, times) in total.connectTimes {
            write(times, to: "baton_upstream_connect_seconds", [("upstream", name)], metrics)
        }
        for (end, number) in total.ends { counter("baton_ended_connections_total", Int64(number), [("end", end)]) }
    }

    /// From a neighbour to a host on the other side of the earth, and one that has to be asked again (1 s, 3 s, RFC 6298).
    private static let connectBuckets: [Double] = [
        0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    private static func write(
        _ pauses: PauseHistogram, to name: String, _ labels: [(String, String)],
        _ metrics: PrometheusMetrics
    ) {
        guard let histogram = metrics.makeTimer(label: name, dimensions: labels) as? PrometheusHistogram
        else { return }
        // The sum is exact, the buckets to 3 %.
        for bucket in pauses.filled { histogram.record(Double(bucket.nanoseconds) / 1e9, count: bucket.count, sum: 0) }
        histogram.record(0, count: 0, sum: Double(pauses.sum) / 1e9)
    }
}
