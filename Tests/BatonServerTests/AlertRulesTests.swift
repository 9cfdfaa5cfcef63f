import Foundation
import StockPeers
import Testing

/// The rules of docs/alerts.yml, as Prometheus works them out.
@Suite("The alert rules", .timeLimit(.minutes(2)))
struct AlertRulesTests {
    private static let rules = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "docs/alerts.yml")

    /// Debian's package `prometheus` has it.
    static let hasPromtool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].contains {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    @Test("promtool accepts them", .enabled(if: hasPromtool, "promtool is not installed"))
    func accepted() throws {
        let tool = try PeerProcess(["promtool", "check", "rules", Self.rules.path])
        try tool.expect(nil)
        #expect(tool.status == 0, "\(tool.text)")
    }

    @Test(
        "none fires while all is well, and each does when what it is for is the case",
        .enabled(if: hasPromtool, "promtool is not installed"))
    func firing() throws {
        let text = try String(contentsOf: Self.rules, encoding: .utf8)
        let names = text.matches(of: /- alert: (\w+)/).map { String($0.output.1) }
        #expect(!names.isEmpty && Set(names).count == names.count)
        let files = try TemporaryFiles()
        let all = names.map { "          - { labels: '{alertname=\"\($0)\"}', value: 1 }" }.joined(separator: "\n")
        let path = try files.write(
            """
            rule_files: ["\(Self.rules.path)"]
            evaluation_interval: 1m
            tests:
              - interval: 1m
                input_series:
            \(Self.indented(Self.well))
                promql_expr_test:
                  - expr: count(ALERTS) or vector(0)
                    eval_time: 20m
                    exp_samples: [{ labels: "{}", value: 0 }]
              - interval: 1m
                input_series:
            \(Self.indented(Self.wrong))
                promql_expr_test:
                  - expr: count by (alertname) (ALERTS{alertstate="firing"})
                    eval_time: 20m
                    exp_samples:
            \(all)

            """, "test.yml")
        let tool = try PeerProcess(["promtool", "test", "rules", path])
        try tool.expect(nil)
        #expect(tool.status == 0, "\(tool.text)")
    }

    private static func indented(_ text: String) -> String {
        text.split(separator: "\n").map { "      \($0)" }.joined(separator: "\n")
    }

    // Twenty minutes, a value each: `start+step x times`; `_` is none.
    private static let well = """
        - { series: 'up{job="baton",instance="a"}', values: "1x20" }
        - { series: 'baton_serving{instance="a"}', values: "1x20" }
        - { series: 'baton_workers{instance="a",state="ready"}', values: "2x20" }
        - { series: 'baton_connections{instance="a",worker="1"}', values: "40x20" }
        - { series: 'baton_connections{instance="a",worker="2"}', values: "40x20" }
        - { series: 'baton_connections_limit{instance="a"}', values: "100x20" }
        - { series: 'baton_process_deaths_total{instance="a",process="worker"}', values: "3x20" }
        - { series: 'baton_lost_connections_total{instance="a",worker="gone",reason="poisoned"}', values: "1x20" }
        - { series: 'baton_last_reload_success{instance="a"}', values: "1x20" }
        - { series: 'baton_handshakes_total{instance="a",version="1.3"}', values: "0+600x20" }
        - { series: 'baton_handshake_failures_total{instance="a",reason="closed"}', values: "0+100x20" }
        - { series: 'baton_log_dropped_lines_total{instance="a"}', values: "5x20" }
        - { series: 'baton_access_log_dropped_lines_total{instance="a"}', values: "0x20" }
        - { series: 'baton_open_descriptors{instance="a",worker="1"}', values: "100x20" }
        - { series: 'baton_max_descriptors{instance="a",worker="1"}', values: "1000x20" }
        """

    private static let wrong = """
        - { series: 'up{job="baton",instance="b"}', values: "1x10 0x10" }
        - { series: 'baton_serving{instance="a"}', values: "1x20" }
        - { series: 'baton_workers{instance="a",state="silent"}', values: "1x20" }
        - { series: 'baton_connections{instance="a",worker="1"}', values: "50x20" }
        - { series: 'baton_connections{instance="a",worker="2"}', values: "45x20" }
        - { series: 'baton_connections_limit{instance="a"}', values: "100x20" }
        - { series: 'baton_process_deaths_total{instance="a",process="worker"}', values: "0x17 1x3" }
        - { series: 'baton_lost_connections_total{instance="a",worker="4",reason="poisoned"}', values: "_x17 2x3" }
        - { series: 'baton_last_reload_success{instance="a"}', values: "0x20" }
        - { series: 'baton_handshakes_total{instance="a",version="1.3"}', values: "0+100x20" }
        - { series: 'baton_handshake_failures_total{instance="a",reason="closed"}', values: "0+100x20" }
        - { series: 'baton_log_dropped_lines_total{instance="a"}', values: "0x20" }
        - { series: 'baton_access_log_dropped_lines_total{instance="a"}', values: "0x15 7x5" }
        - { series: 'baton_open_descriptors{instance="a",worker="1"}', values: "900x20" }
        - { series: 'baton_max_descriptors{instance="a",worker="1"}', values: "1000x20" }
        - { series: 'baton_refused_connections_total{instance="a",reason="connections"}', values: "0+5x20" }
        - { series: 'baton_upstream_errors_total{instance="a",upstream="app",reason="refused"}', values: "0+60x20" }
        - { series: 'baton_upstream_connect_seconds_bucket{instance="a",upstream="app",le="1"}', values: "0+5x20" }
        - { series: 'baton_upstream_connect_seconds_bucket{instance="a",upstream="app",le="2.5"}', values: "0+10x20" }
        - { series: 'baton_upstream_connect_seconds_bucket{instance="a",upstream="app",le="+Inf"}', values: "0+10x20" }
        - { series: 'baton_pause_seconds_bucket{instance="a",le="1"}', values: "0+5x20" }
        - { series: 'baton_pause_seconds_bucket{instance="a",le="2.5"}', values: "0+10x20" }
        - { series: 'baton_pause_seconds_bucket{instance="a",le="+Inf"}', values: "0+10x20" }
        - { series: 'baton_handoff_failures_total{instance="a",worker="1",reason="busy"}', values: "0+9x20" }
        - { series: 'baton_serving{instance="c"}', values: "0x20" }
        - { series: 'baton_workers{instance="c",state="ready"}', values: "1x20" }
        """
}
