import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// Each connection has one line at its end, however it has moved and whoever has it then.
@Suite("The access log", .serialized, .timeLimit(.minutes(5)))
struct AccessLinesTests {
    private typealias Line = [String: Any]

    private let files: TemporaryFiles
    private let path: String

    init() throws {
        files = try TemporaryFiles()
        path = files.path("access.log")
    }

    private func lines() throws -> [Line] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        // The last may be on its way.
        return try text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { line in
            guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? Line else {
                throw WireError("no JSON object: \(line)")
            }
            return object
        }
    }

    /// Waits for so many lines.
    private func lines(_ count: Int) throws -> [Line] {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            let found = try lines()
            if found.count >= count { return found }
            guard ContinuousClock.now < deadline else { throw WireError("\(found.count) lines: \(found)") }
            sched_yield()
        }
    }

    /// What the admin address calls the live connections.
    private func names(at port: Int) throws -> Set<String> {
        let curl = try PeerProcess(["curl", "-sf", "http://127.0.0.1:\(port)/api/connections?limit=100"])
        try curl.expect(nil)
        let page = try JSONSerialization.jsonObject(with: Data(curl.bytes)) as? Line
        let rows = page?["rows"] as? [Line] ?? []
        return Set(rows.compactMap { $0["connection"] as? String })
    }

    private func ends(_ lines: [Line]) -> [String] { lines.compactMap { $0["end"] as? String } }

    @Test("one line for each, through moves, upgrades and a worker's death, with what has passed in all of them")
    func moving() throws {
        let count = 12
        let (upstream, port) = try Clients.upstream()
        defer { try? upstream.endInput() }
        let server = try Server(
            ["--upstream", "127.0.0.1:\(port)", "--access-log", path, "--move-every", "25", "--admin", "127.0.0.1:0"])
        let clients = try Clients.exchange(server.port, connections: count)
        try clients.expect("STARTED", count: count)
        _ = try server.waitUntil { $0.moves.handoff > 3 * count }
        try server.upgrade()
        let before = try server.waitUntil { $0.workers.allSatisfy { $0.connections > 0 } }
        let worker = try #require(before.workers.max { $0.connections < $1.connections })
        kill(worker.pid, SIGKILL)
        let moved = try server.waitUntil { report in
            !report.workers.contains { $0.pid == worker.pid } && report.connections == count
        }
        _ = try server.waitUntil { $0.moves.handoff > moved.moves.handoff + count }
        try server.upgrade()
        #expect(try lines().isEmpty)
        let listed = try names(at: server.number(behind: "admin=127.0.0.1:"))
        try clients.endInput()
        try clients.expect("WHOLE \(count) of \(count)")
        let found = try lines(count)
        _ = try server.waitUntil { $0.connections == 0 }
        server.signal(SIGTERM)
        try server.end()
        // Nothing more comes.
        #expect(try lines().count == count)
        let names = Set(found.compactMap { $0["id"] as? String })
        // Those that were under way between two workers are not listed.
        #expect(names.count == count && !listed.isEmpty && listed.isSubset(of: names))
        for line in found {
            func number(_ name: String) -> Int { line[name] as? Int ?? -1 }
            // Python closes without close_notify.
            #expect(line["end"] as? String == "client-reset")
            // What has come from the client has gone to the upstream, and back.
            #expect(
                number("upstream_bytes_out") > 0 && number("upstream_bytes_in") == number("upstream_bytes_out"),
                "\(line)")
            #expect(
                number("bytes_in") > number("upstream_bytes_out") && number("bytes_out") > number("upstream_bytes_in"))
            #expect(number("moves") >= 4 && number("pause_max_us") > 0 && number("duration_ms") >= 0, "\(line)")
            #expect(number("pause_total_us") >= number("pause_max_us"))
            #expect(line["upstream"] as? String == "127.0.0.1:\(port)" && line["tls"] as? String == "1.3")
            #expect(line["listener"] as? String == "default" && line["route"] as? String == "default")
            #expect((line["peer"] as? String)?.hasPrefix("127.0.0.1:") == true)
            #expect(line["local"] as? String == "127.0.0.1:\(server.port)")
        }
    }

    @Test("bytes are as the peers count them, behind moves too; and who ended first is told")
    func bytes() throws {
        let size = 6_000_000
        let (upstream, port) = try Clients.upstream()
        defer { try? upstream.endInput() }
        let server = try Server([
            "--upstream", "127.0.0.1:\(port)", "--access-log", path, "--move-every", "40", "--listeners.default.tls",
            "false",
        ])
        let client = try Clients.bulk(server.port, size: size, isTLS: false)
        try client.expect("SAME")
        let line = try #require(try lines(1).first)
        #expect(line["bytes_in"] as? Int == size && line["upstream_bytes_out"] as? Int == size, "\(line)")
        #expect(line["bytes_out"] as? Int == size + 3 && line["upstream_bytes_in"] as? Int == size + 3, "\(line)")
        #expect(line["end"] as? String == "client-closed" && (line["moves"] as? Int ?? 0) > 1, "\(line)")
        #expect(line["tls"] == nil && line["connect_ms"] != nil)
    }

    /// A configuration in which the first line decides where a connection goes.
    private func configuration(_ port: Int, _ more: String = "") throws -> String {
        try files.write(
            """
            access-log: \(path)
            \(more)
            listeners:
              plain: {address: "127.0.0.1:0", tls: false}
            upstreams:
              there: {addresses: "127.0.0.1:\(port)"}
              nowhere: {addresses: "127.0.0.1:\(try Wire.freePort())"}
            routes:
              there: {path: /there, target: there}
              nowhere: {path: /nowhere, target: nowhere}

            """, "baton.yaml")
    }

    private func connect(_ server: Server, _ text: String = "") throws -> Wire {
        let wire = try Wire.connect(UInt16(server.port))
        try wire.write(Array(text.utf8))
        return wire
    }

    @Test("what is refused, leads nowhere or is ended by the server has a line that says why")
    func reasons() throws {
        let (upstream, port) = try Clients.upstream()
        defer { try? upstream.endInput() }
        let server = try Server(["--config", try configuration(port, "shutdown-time: 0s")])
        _ = try connect(server, "GET /nothing HTTP/1.1\r\n\r\n").readAll()
        var line = try #require(try lines(1).last)
        #expect(line["end"] as? String == "refused" && line["detail"] as? String == "no route", "\(line)")
        _ = try? connect(server, "GET /nowhere HTTP/1.1\r\n\r\n").readAll()
        line = try #require(try lines(2).last)
        #expect(line["end"] as? String == "upstream-unreachable" && line["route"] as? String == "nowhere", "\(line)")
        let relay = try connect(server, "GET /there HTTP/1.1\r\n\r\n")
        let silent = try connect(server)
        _ = try server.waitUntil { $0.connections == 2 }
        #expect(try lines().count == 2)
        server.signal(SIGTERM)
        try server.end()
        let found = try lines()
        #expect(found.count == 4 && ends(found).suffix(2) == ["server", "server"], "\(found)")
        withExtendedLifetime((relay, silent)) {}
    }

    @Test("a connection that waits for its request when its worker dies has a line from the front")
    func waiting() throws {
        let (upstream, port) = try Clients.upstream()
        defer { try? upstream.endInput() }
        let server = try Server(["--config", try configuration(port)], workers: 1)
        let relay = try connect(server, "GET /there HTTP/1.1\r\n\r\n")
        // It has come back from the upstream, and the report that has the others knows that it waits no more.
        _ = try relay.read()
        let waiting = try (0..<5).map { _ in try connect(server) }
        let worker = try #require(
            try server.waitUntil { $0.connections == 6 && $0.workers.first?.connections == 6 }.workers.first)
        kill(worker.pid, SIGKILL)
        let found = try lines(5)
        #expect(ends(found) == Array(repeating: "worker-died", count: 5), "\(found)")
        #expect(Set(found.compactMap { $0["peer"] as? String }).count == 5)
        _ = try server.waitUntil { $0.connections == 1 && $0.workers.contains { $0.state == "ready" } }
        try relay.endWriting()
        _ = try relay.readAll()
        let last = try #require(try lines(6).last)
        #expect(last["end"] as? String == "client-closed" && last["adoptions"] as? Int == 1, "\(last)")
        withExtendedLifetime(waiting) {}
    }

    @Test("a handshake that fails has a line with its alert; of a flood of them there are a few, and a count")
    func handshakes() throws {
        let server = try Server(["--upstream", "echo", "--access-log", path, "--listeners.default.tls-versions", "1.3"])
        let old = try PeerProcess([
            "openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-tls1_2", "-servername", "example.org",
        ])
        try old.expect(nil)
        let line = try #require(try lines(1).first)
        #expect(line["end"] as? String == "handshake-failed", "\(line)")
        #expect((line["detail"] as? String)?.hasPrefix("alert sent: protocol_version") == true, "\(line)")
        #expect((line["peer"] as? String)?.hasPrefix("127.0.0.1:") == true && line["id"] != nil)
        let count = 200
        for _ in 0..<count { _ = try? connect(server, "GET / HTTP/1.0\r\n\r\n").readAll() }
        func told() throws -> Int {
            try lines().dropFirst().reduce(0) { $0 + 1 + ($1["unlogged"] as? Int ?? 0) }
        }
        let deadline = ContinuousClock.now + .seconds(60)
        while try told() < count, ContinuousClock.now < deadline { sched_yield() }
        #expect(try told() == count)
        #expect(try lines().dropFirst().allSatisfy { $0["end"] as? String == "handshake-failed" })
    }

    @Test("a reload turns it on, changes its form and turns it off; standard output does as well")
    func reload() throws {
        func text(_ log: String) -> String {
            "access-log: \(log)\nlisteners: {plain: {address: \"127.0.0.1:0\", tls: false}}\nroutes: {all: {target: echo}}\n"
        }
        let file = try files.write(text("off"), "baton.yaml")
        let server = try Server(["--config", file])
        func exchange() throws {
            let wire = try connect(server, "ping")
            try wire.endWriting()
            #expect(try wire.readAll() == Array("ping".utf8))
            _ = try server.waitUntil { $0.connections == 0 }
        }
        try exchange()
        _ = try files.write(text(path), "baton.yaml")
        try server.reload()
        try exchange()
        #expect(ends(try lines(1)) == ["closed"])
        _ = try files.write(text("stdout") + "access-log-format: logfmt\n", "baton.yaml")
        try server.reload()
        try exchange()
        try server.log(" route=all target=echo bytes_in=4 bytes_out=4 ")
        #expect(try lines().count == 1)
    }
}

extension Wire {
    /// Everything to the peer's end.
    fileprivate func readAll() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while case let more = try read(), !more.isEmpty { bytes += more }
        return bytes
    }

    fileprivate func endWriting() throws {
        guard shutdown(descriptor, Int32(SHUT_WR)) == 0 else { throw WireError("cannot end: \(errno)") }
    }
}
