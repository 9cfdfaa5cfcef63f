import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct AdminTests {
    /// What curl gets, with the status on a last line of its own.
    private func get(_ url: String, _ options: [String] = []) throws -> String {
        let curl = try PeerProcess(["curl", "-s", "-w", "\nSTATUS %{http_code}\n"] + options + [url])
        try curl.expect(nil)
        return curl.text
    }

    /// Asks until the answer is right, at most 20 s.
    private func get(_ url: String, until isRight: (String) -> Bool) throws -> String {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            let text = try get(url)
            if isRight(text) { return text }
            guard ContinuousClock.now < deadline else { throw WireError("still: \(text)") }
        }
    }

    @Test("/healthz and /metrics tell of handshakes, refusals, moves and pauses")
    func endpoints() throws {
        let server = try Server(["--upstream", "echo", "--admin", "127.0.0.1:0", "--move-every", "2"])
        let admin = "http://127.0.0.1:\(try server.number(behind: "admin=127.0.0.1:"))"
        #expect(try get(admin + "/healthz") == "ok\n\nSTATUS 200\n")
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        _ = try server.waitUntil { $0.moves.handoff > 3 }
        let stranger = try Wire.connect(UInt16(server.port))
        try stranger.write(Array("GET / HTTP/1.0\r\n\r\n".utf8))
        let metrics = try get(admin + "/metrics") {
            $0.contains("baton_handshake_failures_total{reason=\"plain_http\"} 1")
        }
        #expect(metrics.contains("baton_handshakes_total{cipher=\"TLS_A"), "\(metrics)")
        #expect(metrics.contains("version=\"1.3\"} 1\n"), "\(metrics)")
        #expect(metrics.contains("baton_placements_total 1\n"), "\(metrics)")
        #expect(metrics.contains("baton_handoffs_total{direction=\"in\",worker=\"1\"}"), "\(metrics)")
        #expect(metrics.contains("baton_workers{state=\"ready\"} 2\n"), "\(metrics)")
        let count = metrics.split(separator: "\n").first { $0.hasPrefix("baton_pause_seconds_count ") }
        #expect(try #require(count.flatMap { Int($0.split(separator: " ")[1]) }) > 3)
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test(
        "/metrics tells of bytes, routes, upstreams, reloads and descriptors, while connections live and of workers that died"
    )
    func traffic() throws {
        let files = try TemporaryFiles()
        let (upstream, port) = try Clients.upstream()
        defer { try? upstream.endInput() }
        let file = try files.write(
            """
            admin: "127.0.0.1:0"
            listeners: {web: {address: "127.0.0.1:0", tls: false}}
            upstreams:
              app: {addresses: "127.0.0.1:\(port)"}
              nowhere: {addresses: "127.0.0.1:\(try Wire.freePort())"}
            routes: {all: {target: app}, none: {path: /none, target: nowhere}}

            """, "baton.yaml")
        let server = try Server(["--config", file], workers: 1)
        let admin = "http://127.0.0.1:\(try server.number(behind: "admin=127.0.0.1:"))/metrics"
        let wire = try Wire.connect(UInt16(server.port))
        func exchange(_ text: String) throws {
            try wire.write(Array(text.utf8))
            var count = 0
            while count < text.utf8.count { count += try wire.read().count }
        }
        let line = "GET /all HTTP/1.1\r\n"
        try exchange(line)
        var metrics = try get(admin) {
            $0.contains("baton_connection_bytes_total{direction=\"out\",listener=\"web\"} \(line.utf8.count)\n")
        }
        #expect(metrics.contains("baton_upstream_bytes_total{direction=\"in\",upstream=\"app\"} \(line.utf8.count)\n"))
        metrics = try get(admin) { $0.contains("baton_route_connections{route=\"all\"} 1\n") }
        #expect(metrics.contains("baton_listener_connections{listener=\"web\"} 1\n"))
        #expect(metrics.contains("baton_routed_connections_total{route=\"all\"} 1\n"))
        #expect(metrics.contains("baton_upstream_connect_seconds_count{upstream=\"app\"} 1\n"))
        #expect(metrics.contains("baton_accepted_connections_total{listener=\"web\"} 1\n"))
        #expect(metrics.contains(/baton_open_descriptors\{worker="1"\} [1-9]/))
        let lost = try Wire.connect(UInt16(server.port))
        try lost.write(Array("GET /none HTTP/1.1\r\n\r\n".utf8))
        _ = try get(admin) {
            $0.contains("baton_upstream_errors_total{reason=\"refused\",upstream=\"nowhere\"} 1\n")
                && $0.contains("baton_ended_connections_total{end=\"upstream-unreachable\"} 1\n")
        }
        try server.reload()
        kill(try #require(try server.status().workers.first).pid, SIGKILL)
        _ = try server.waitUntil { $0.deaths?.workers == 1 && $0.workers.first?.connections == 1 }
        try exchange("more")
        _ = try get(admin) {
            $0.contains("baton_connection_bytes_total{direction=\"out\",listener=\"web\"} \(line.utf8.count + 4)\n")
                && $0.contains("baton_reloads_total{result=\"success\"} 1\n")
                && $0.contains("baton_process_deaths_total{process=\"worker\"} 1\n")
        }
    }

    @Test("connections are listed page by page, each once, with what their handshake settled")
    func pages() throws {
        let server = try Server(
            ["--upstream", "echo", "--admin", "127.0.0.1:0", "--listeners.default.alpn", "h2"], workers: 3)
        let admin = "http://127.0.0.1:\(try server.number(behind: "admin=127.0.0.1:"))"
        let client = try Clients.exchange(server.port, connections: 7, version: "TLSv1_2")
        for _ in 0..<7 { try client.expect("STARTED") }
        _ = try server.waitUntil { $0.workers.reduce(0) { $0 + $1.connections } == 7 }
        var peers: [String] = []
        var after = ""
        while true {
            let text = try get(admin + "/api/connections?limit=2" + after, ["-f"]).split(separator: "\n")[0]
            let page = try JSONDecoder().decode(Page.self, from: Data(text.utf8))
            #expect(page.total == 7 && page.complete && page.rows.count <= 2)
            #expect(page.rows.allSatisfy { $0.version == "1.2" && $0.cipher.hasPrefix("TLS_ECDHE") && $0.moves == 0 })
            peers += page.rows.map(\.peer)
            guard let next = page.next else { break }
            after = "&after=\(next)"
        }
        #expect(peers.count == 7 && Set(peers).count == 7, "\(peers)")
        #expect(try get(admin + "/api/connections?limit=0").contains("STATUS 400"))
        for query in [
            "after=x", "sort=colour", "order=up", "known=-1", "after=1.2.tzz",
            "filter=" + String(repeating: "x", count: 2_000),
        ] {
            #expect(try get(admin + "/api/connections?" + query).contains("STATUS 400"), "\(query)")
        }
        let some = try get(admin + "/api/connections?limit=3&sort=peer&order=desc&filter=TLS_ECDHE%20127.0", ["-f"])
        let page = try JSONDecoder().decode(Page.self, from: Data(some.prefix { $0 != "\n" }.utf8))
        #expect(page.matched == 7 && page.next != nil)
        #expect(page.rows.map(\.peer) == Array(peers.sorted().reversed().prefix(3)))
        try client.endInput()
        try client.expect("WHOLE 7 of 7")
    }

    private struct Page: Decodable {
        struct Row: Decodable {
            var peer: String
            var version: String
            var cipher: String
            var moves: Int
        }

        var total: Int
        var complete: Bool
        var matched: Int?
        var next: String?
        var rows: [Row]
    }

    @Test("what has been lately is known to a new server, and to the front that takes the place of one that has died")
    func history() throws {
        let server = try Server(["--upstream", "echo", "--admin", "127.0.0.1:0"], workers: 1)
        let admin = "http://127.0.0.1:\(try server.number(behind: "admin=127.0.0.1:"))/api/state"
        func state(until isRight: (State.History) -> Bool) throws -> State.History {
            let answer = try get(admin) { text in
                (try? State(text)).map { isRight($0.history) } ?? false
            }
            return try State(answer).history
        }
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        let first = try state { $0.count >= 2 }
        #expect(first.marks.map(\.kind) == ["started"] && first.upgrades == 0)
        try server.upgrade()
        let second = try state { $0.upgrades == 1 && $0.samples.count > first.count }
        #expect(second.marks.map(\.kind) == ["started", "upgraded"] && second.count == second.samples.count)
        // What is counted is left with the keeper by the time of the next sample.
        let other = try Clients.exchange(server.port)
        try other.expect("STARTED")
        let third = try state { $0.count >= second.count + 2 }
        kill(try server.frontID(), SIGKILL)
        let last = try state { $0.marks.last?.kind == "front_died" && $0.samples.count > second.count }
        #expect(last.marks.map(\.kind) == ["started", "upgraded", "front_died"] && last.upgrades == 1)
        #expect(last.columns == third.columns && last.samples.allSatisfy { $0.count == last.columns.count + 2 })
        let connections = try #require(last.columns.firstIndex(of: "connections"))
        _ = try state { $0.samples.last?[connections + 2] == 2 }
        for client in [client, other] {
            try client.endInput()
            try client.expect("WHOLE 1 of 1")
        }
    }

    private struct State: Decodable {
        struct History: Decodable {
            struct Mark: Decodable { var kind: String }

            var count: Int
            var columns: [String]
            var samples: [[Int]]
            var marks: [Mark]
            var upgrades: Int
        }

        var history: History

        init(_ answer: String) throws {
            self = try JSONDecoder().decode(State.self, from: Data(answer.prefix { $0 != "\n" }.utf8))
        }
    }

    @Test("nothing is changed or told to pages of other origins, and unknown paths are told apart")
    func guarded() throws {
        let server = try Server(["--admin", "127.0.0.1:0"])
        let admin = "http://127.0.0.1:\(try server.number(behind: "admin=127.0.0.1:"))"
        let page = try get(admin, ["-i"])
        #expect(page.contains("default-src 'none'") && page.contains("nosniff") && page.contains("<!doctype html>"))
        #expect(try get(admin, ["-H", "Host: evil.example"]).contains("STATUS 421"))
        #expect(try get(admin, ["-H", "Host: localhost:1234"]).contains("STATUS 200"))
        #expect(try get(admin, ["-X", "POST"]).contains("STATUS 405"))
        #expect(try get(admin + "/passwd").contains("STATUS 404"))
        #expect(try get(admin + "/metrics", ["-I"]).contains("STATUS 200"))
    }

    @Test(
        "the Host is checked wherever the admin address listens, and names can be allowed",
        arguments: ["127.0.0.1:0", "127.0.0.2:0", ":0", "[::1]:0"])
    func hosts(address: String) throws {
        let server = try Server(["--admin", address, "--admin-hosts", "metrics.example"], workers: 1)
        let host = address.hasPrefix(":") ? "[::]" : String(address.dropLast(2))
        let port = try server.number(behind: "admin=\(host):")
        let admin = "http://\(address.hasPrefix(":") ? "127.0.0.1" : host):\(port)/healthz"
        func status(_ name: String) throws -> String {
            try get(admin, ["-g", "-H", "Host: \(name)"]).components(separatedBy: "STATUS ").last ?? ""
        }
        for name in [
            "127.0.0.1", "10.1.2.3:\(port)", "[::1]:\(port)", "localhost", "LOCALHOST.:1", "metrics.example:\(port)",
        ] {
            #expect(try status(name) == "200\n", "\(name)")
        }
        for name in ["evil.example", "evil.example:\(port)", "localhost.evil.example", "127.0.0.1.evil.example", "x y"]
        {
            #expect(try status(name) != "200\n", "\(name)")
        }
    }

    @Test("the admin address follows an upgrade, counters and all, and a new one follows SIGHUP")
    func follows() throws {
        let files = try TemporaryFiles()
        let unix = files.path("admin.sock")
        func text(_ admin: String) -> String {
            "admin: \(admin)\nlisteners:\n  default:\n    address: 127.0.0.1:0\nroutes:\n  default:\n    target: echo\n"
        }
        let path = try files.write(text("127.0.0.1:0"), "baton.yaml")
        let server = try Server(["--config", path])
        let admin = "http://127.0.0.1:\(try server.number(behind: "admin=127.0.0.1:"))"
        let client = try Clients.exchange(server.port, connections: 2)
        for _ in 0..<2 { try client.expect("STARTED") }
        let old = try get(admin + "/api/state")
        let report = try server.upgrade()
        #expect(old.contains("\"front_pid\":\(report.from),"))
        #expect(try get(admin + "/api/state").contains("\"front_pid\":\(report.to),"))
        let metrics = try get(admin + "/metrics")
        #expect(metrics.contains("version=\"1.3\"} 2\n"), "\(metrics)")
        _ = try files.write(text("unix:\(unix)"), "baton.yaml")
        kill(report.to, SIGHUP)
        try server.log("admin=unix:")
        #expect(try get("http://localhost/healthz", ["--unix-socket", unix]) == "ok\n\nSTATUS 200\n")
        #expect(try get(admin + "/healthz").contains("STATUS 000"))
        try client.endInput()
        try client.expect("WHOLE 2 of 2")
    }
}
