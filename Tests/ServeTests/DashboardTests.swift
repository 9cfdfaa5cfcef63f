import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct DashboardTests {
    /// What is only told once something has gone wrong that this test does not bring about. That it is told under these names
    /// is shown by the tests of the metrics.
    private static let misfortunes: Set = [
        "baton_handoff_failures_total", "baton_lost_connections_total", "baton_refused_connections_total",
        "baton_tls_faults_total",
    ]

    @Test("a running server exports every metric that the dashboard for Grafana shows")
    func exported() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let dashboard = try String(contentsOf: root.appending(path: "docs/grafana.json"), encoding: .utf8)
        let asked = Set(dashboard.matches(of: /\bbaton_[a-z_]+/).map { String($0.output) })
            .subtracting(Self.misfortunes)
        #expect(asked.count > 20)
        let files = try TemporaryFiles()
        let upstream = try Clients.upstream()
        let issued = try Credentials.shared.write("exact", in: files)
        let configuration = try files.write(
            """
            admin: "127.0.0.1:0"
            certificates: {site: {chain: \(issued.certificate), key: \(issued.key)}}
            listeners: {web: {address: "127.0.0.1:0"}}
            upstreams:
              app: {addresses: "127.0.0.1:\(upstream.port)"}
              nowhere: {addresses: "127.0.0.1:\(try Wire.freePort())"}
            routes: {none: {server-names: [none.example], target: nowhere}, all: {target: app}}

            """, "baton.yaml")
        let server = try Server(["--config", configuration])
        let admin = try server.number(behind: "admin=127.0.0.1:")
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        let lost = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-quiet", "-nocommands"]
                + ["-servername", "none.example"])
        let stranger = try Wire.connect(UInt16(server.port))
        try stranger.write(Array("GET / HTTP/1.0\r\n\r\n".utf8))
        try server.reload()
        try server.upgrade()
        kill(try #require(try server.status().workers.first).pid, SIGKILL)
        var missing = asked
        let deadline = ContinuousClock.now + .seconds(30)
        while !missing.isEmpty, ContinuousClock.now < deadline {
            let curl = try PeerProcess(["curl", "-s", "http://127.0.0.1:\(admin)/metrics"])
            try curl.expect(nil)
            let told = Set(curl.text.split(separator: "\n").compactMap { $0.firstMatch(of: /^baton_[a-z_]+/)?.output })
            missing = asked.filter { name in
                !told.contains(name[...]) && !told.contains("\(name)_count")
            }
        }
        #expect(missing.isEmpty, "\(missing.sorted())")
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        try lost.endInput()
    }
}
