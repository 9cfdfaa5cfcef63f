import BatonConfiguration
import Foundation
import StockPeers
import Testing

@testable import BatonServer

@Suite("The metrics", .timeLimit(.minutes(2)))
struct AdminMetricsTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// A report in which nothing is left out.
    private static var whole: AdminReport {
        var worker = WorkerReport()
        worker.connections = 3
        worker.movesIn = 4
        worker.lost = ["poisoned": 1]
        worker.faults = ["bad_record_mac": 1]
        worker.failures = ["busy": 2]
        worker.refusals = ["no_route": 1]
        worker.traffic.listeners.add(received: 10, sent: 20, to: "web")
        worker.traffic.upstreams.add(received: 30, sent: 40, to: "app")
        worker.listenerConnections = ["web": 3]
        worker.routeConnections = ["all": 3]
        worker.routed = ["all": 2]
        worker.upstreamErrors = ["app": ["refused": 5]]
        worker.connectTimes["app", default: PauseHistogram()].record(nanoseconds: 3_000_000)
        worker.ends = ["closed": 6]
        (worker.openDescriptors, worker.maxDescriptors) = (50, 1_024)
        worker.pauses.record(nanoseconds: 1_000)
        var tally = Tally(
            counts: FrontCounts(handshakes: ["1.3 TLS_AES_128_GCM_SHA256": 1], handshakeFailures: ["eof": 1]))
        tally.accepted("web")
        tally.routed("all")
        tally.reloaded(false, at: 1, after: 0.5)
        tally.reloaded(true, at: 2, after: 0.25)
        tally.delivered(handedOver: 1, returned: 0, failures: ["busy": 1])
        return AdminReport(
            version: "1", phase: "serving", uptime: 1, handshaking: 1, counts: tally.counts,
            workers: [
                .init(number: 1, state: "ready", report: worker), .init(number: 2, state: "ready", report: worker),
            ],
            droppedLogLines: 1, droppedAccessLines: 2, deaths: ProcessDeaths(front: 1, workers: 2),
            connectionLimit: 100,
            openDescriptors: 10, maxDescriptors: 20, certificates: [(name: "site", notAfter: 1_800_000_000)],
            gone: worker,
            upstreams: [
                .init(
                    upstream: "web", address: "192.0.2.1:80", state: .up, weight: 1, connections: 2, opened: 3,
                    failed: 4)
            ])
    }

    /// The names of families.
    private static func names(_ text: String) -> Set<String> {
        Set(text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map { String($0.split(separator: " ")[2]) })
    }

    @Test("each that is described is told, each that is told is described, and serve.md has all of them")
    func descriptions() throws {
        let told = Self.names(AdminMetrics.text(Self.whole))
        #expect(told == Set(AdminMetrics.descriptions.keys))
        let document = try String(contentsOf: Self.root.appending(path: "docs/serve.md"), encoding: .utf8)
        for name in told { #expect(document.contains("`\(name)`"), "\(name)") }
    }

    @Test("processes that live and those that are gone add up")
    func sums() {
        let text = AdminMetrics.text(Self.whole)
        for line in [
            #"baton_connection_bytes_total{direction="in",listener="web"} 30"#,
            #"baton_upstream_bytes_total{direction="out",upstream="app"} 120"#,
            #"baton_upstream_errors_total{reason="refused",upstream="app"} 15"#,
            #"baton_upstream_connect_seconds_count{upstream="app"} 3"#,
            #"baton_upstream_connect_seconds_bucket{upstream="app",le="0.005"} 3"#,
            #"baton_ended_connections_total{end="closed"} 18"#, #"baton_routed_connections_total{route="all"} 7"#,
            // What is gone has no connections.
            #"baton_listener_connections{listener="web"} 6"#, #"baton_route_connections{route="all"} 6"#,
            #"baton_reloads_total{result="failure"} 1"#, #"baton_reloads_total{result="success"} 1"#,
            #"baton_certificate_not_after_seconds{certificate="site"} 1800000000"#,
            "baton_last_reload_success 1", "baton_last_reload_timestamp_seconds 2",
            #"baton_open_descriptors{worker="front"} 10"#, #"baton_max_descriptors{worker="1"} 1024"#,
            #"baton_process_deaths_total{process="worker"} 2"#, "baton_access_log_dropped_lines_total 2",
            "baton_connections_limit 100", #"baton_accepted_connections_total{listener="web"} 1"#,
        ] {
            #expect(text.contains(line + "\n"), "\(line) in \(text)")
        }
    }

    @Test(
        "promtool finds nothing to say of the page",
        .enabled(if: AlertRulesTests.hasPromtool, "promtool is not installed"))
    func page() throws {
        let files = try TemporaryFiles()
        let path = try files.write(AdminMetrics.text(Self.whole), "metrics")
        let tool = try PeerProcess(["sh", "-c", "exec promtool check metrics < \(path)"])
        try tool.expect(nil)
        #expect(tool.status == 0 && tool.text.isEmpty, "\(tool.text)")
    }

    @Test(
        "alert rules and dashboards ask for metrics that there are",
        arguments: ["docs/alerts.yml", "docs/grafana.json"])
    func used(document: String) throws {
        let place = Self.root.appending(path: document)
        guard FileManager.default.fileExists(atPath: place.path) else { return #expect(document != "docs/alerts.yml") }
        let text = try String(contentsOf: place, encoding: .utf8)
        let told = Self.names(AdminMetrics.text(Self.whole))
        let histograms = ["_bucket", "_sum", "_count"]
        let asked = Set(text.matches(of: /\bbaton_[a-z_]+/).map { String($0.output) })
        #expect(!asked.isEmpty)
        for name in asked {
            let family =
                histograms.first { name.hasSuffix($0) && told.contains(String(name.dropLast($0.count))) }
                .map { String(name.dropLast($0.count)) } ?? name
            #expect(told.contains(family), "\(name)")
        }
    }
}
