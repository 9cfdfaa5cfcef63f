import BatonConfiguration
import Foundation
import StockPeers
import TLSRecords
import Testing

/// Which of an upstream's addresses a connection goes to, and what becomes of those that fail.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct BalanceTests {
    private let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    private func write(_ upstream: String, _ more: String = "") throws -> String {
        try files.write(
            """
            listeners: {main: {address: "127.0.0.1:0"}}
            upstreams:
              web:
            \(upstream.split(separator: "\n").map { "    \($0)" }.joined(separator: "\n"))
            \(more)

            """, "baton.yaml")
    }

    private func server(_ upstream: String, _ more: String = "", workers: Int = 2) throws -> Server {
        try Server(["--config", try write(upstream, more)], workers: workers)
    }

    private func list(_ peers: [NamedPeer], _ weights: [String: Int] = [:], more: String = "") -> String {
        let texts = peers.map { peer in
            "\"127.0.0.1:\(peer.port)" + (weights[peer.name].map { " weight=\($0)" } ?? "") + "\""
        }
        return "addresses: [" + texts.joined(separator: ", ") + more + "]"
    }

    /// Who answers connections that come one after the other.
    private func answers(_ server: Server, _ count: Int = 1, _ arguments: [String] = []) throws -> [String] {
        let curl = try PeerProcess(
            ["curl", "-sk", "--noproxy", "*", "--max-time", "60", "-H", "Connection: close"] + arguments
                + Array(repeating: "https://127.0.0.1:\(server.port)/", count: count))
        try curl.expect(nil)
        return Self.names(curl.text)
    }

    private static func names(_ text: String) -> [String] {
        text.split(separator: "\n").map { $0.hasSuffix(" END") ? String($0.dropLast(4)) : String($0) }
    }

    private func row(_ report: StatusReport, _ port: Int) -> StatusReport.UpstreamAddress? {
        report.upstreams?.first { $0.address == "127.0.0.1:\(port)" }
    }

    @discardableResult
    private func wait(_ server: Server, _ port: Int, _ state: StatusReport.UpstreamAddress.State) throws
        -> StatusReport.UpstreamAddress
    {
        let report = try server.waitUntil { row($0, port)?.state == state }
        return try #require(row(report, port))
    }

    // MARK: Choosing

    @Test(
        "round robin gives each address its weight, in every worker, also after an upgrade and beside one that is gone")
    func roundRobin() throws {
        let peers = try ["one", "two"].map { try NamedPeer($0) }
        let dead = Int(try Wire.freePort())
        let server = try server(
            list(peers, ["one": 2], more: ", 127.0.0.1:\(dead)") + "\nbalance: round-robin")
        let before = try answers(server, 40)
        #expect(before.count == 40 && 22...31 ~= before.count { $0 == "one" }, "\(before)")
        // It was tried until it was left out.
        #expect(try wait(server, dead, .ejected).failed > 0)
        try server.upgrade()
        let after = try answers(server, 40)
        #expect(after.count == 40 && 22...31 ~= after.count { $0 == "one" }, "\(after)")
        let report = try server.waitUntil {
            (row($0, peers[0].port)?.opened ?? 0) + (row($0, peers[1].port)?.opened ?? 0) == 80
        }
        #expect(row(report, peers[0].port)?.weight == 2)
    }

    @Test("least connections fills up those that have fewer, whichever worker has them")
    func leastConnections() throws {
        let peers = try ["one", "two", "three"].map { try NamedPeer($0) }
        let server = try server(list(peers) + "\nbalance: least-connections", workers: 3)
        var clients: [HoldingClient] = []
        for count in 1...12 {
            let client = try HoldingClient(server.port)
            try client.ask()
            clients.append(client)
            // What a worker has, the others hear of.
            _ = try server.waitUntil { ($0.upstreams ?? []).map(\.connections).reduce(0, +) == count }
        }
        let counts = try server.status().upstreams?.map(\.connections) ?? []
        #expect(counts.reduce(0, +) == 12 && counts.allSatisfy { 3...5 ~= $0 }, "\(counts)")
    }

    @Test("hash keeps a client's address at one upstream, and a route's affinity the server name")
    func hash() throws {
        let peers = try ["one", "two", "three"].map { try NamedPeer($0) }
        let server = try server(
            list(peers) + "\nbalance: hash",
            "routes:\n  named: {target: web, server-names: [\"*.example\"], affinity: server-name}\n  rest: {target: web}\n"
        )
        func asked(_ arguments: [String]) throws -> Set<String> { Set(try answers(server, 4, arguments)) }
        let sources = (2...13).map { "127.0.0.\($0)" }
        let bySource = try sources.map { try asked(["--interface", $0]) }
        #expect(bySource.allSatisfy { $0.count == 1 } && Set(bySource).count > 1, "\(bySource)")
        func named(_ host: String, from source: String) throws -> Set<String> {
            let curl = try PeerProcess(
                ["curl", "-sk", "--noproxy", "*", "--max-time", "60", "--interface", source, "--resolve"]
                    + ["\(host):\(server.port):127.0.0.1", "https://\(host):\(server.port)/"])
            try curl.expect(nil)
            return Set(Self.names(curl.text))
        }
        let byName = try ["a", "b", "c", "d", "e", "f"].map { name in
            try Set(["127.0.0.2", "127.0.0.3"].flatMap { try named("\(name).example", from: $0) })
        }
        #expect(byName.allSatisfy { $0.count == 1 } && Set(byName).count > 1, "\(byName)")
    }

    @Test("an address of weight 0 gets no new connection and keeps those it has, through the death of their worker")
    func drains() throws {
        let peers = try ["one", "two"].map { try NamedPeer($0) }
        let server = try server(list(peers))
        let client = try HoldingClient(server.port)
        #expect(try client.ask() == "one")
        _ = try write(list(peers, ["one": 0]))
        try server.reload()
        #expect(Set(try answers(server, 6)) == ["two"])
        let draining = try server.waitUntil { row($0, peers[0].port)?.connections == 1 }
        #expect(row(draining, peers[0].port)?.state == .draining && row(draining, peers[0].port)?.weight == 0)
        let holder = try #require(draining.workers.first { $0.connections > 0 })
        kill(holder.pid, SIGKILL)
        _ = try server.waitUntil {
            !$0.workers.contains { $0.pid == holder.pid } && row($0, peers[0].port)?.connections == 1
        }
        #expect(try client.ask() == "one")
        // It leaves the configuration, and is told of as long as somebody is there.
        _ = try write(list([peers[1]]))
        try server.reload()
        let gone = try server.waitUntil { row($0, peers[0].port)?.state == .draining }
        #expect(row(gone, peers[0].port)?.connections == 1 && client.isRunning)
    }

    @Test("an upstream that lets handshakes fail is tried no more, and the next one serves every client")
    func ejects() throws {
        // It speaks no TLS.
        let (plain, good) = (
            try NamedPeer("plain"), try StockPeer.server(.openssl, .tls13, certificate: "p256", in: files, ["-www"])
        )
        defer { withExtendedLifetime(good.0) {} }
        let server = try server(
            """
            addresses: ["127.0.0.1:\(plain.port)", "127.0.0.1:\(good.1)"]
            tls: true
            tls-verify: false
            eject-after: 2
            eject-time: 60s
            """, workers: 1)
        for _ in 0..<4 { #expect(!(try answers(server)).isEmpty) }
        let row = try wait(server, plain.port, .ejected)
        #expect(row.failed == 2 && row.opened == 0 && row.reason?.isEmpty == false, "\(row)")
        try server.log("an upstream's address is left out for a while")
        _ = try server.waitUntil { self.row($0, Int(good.1))?.opened == 4 }
    }

    @Test("what is left out is tried again after its time, and used again when it answers")
    func returns() throws {
        let port = Int(try Wire.freePort())
        let good = try NamedPeer("two")
        let server = try server(
            "addresses: [\"127.0.0.1:\(port)\", \"127.0.0.1:\(good.port)\"]\neject-after: 1\neject-time: 300ms",
            workers: 1)
        #expect(try answers(server) == ["two"])
        try server.log("an upstream's address is left out for a while")
        let back = try NamedPeer("one", port: port)
        defer { withExtendedLifetime(back) {} }
        let deadline = ContinuousClock.now + .seconds(30)
        while try answers(server) != ["one"], ContinuousClock.now < deadline {}
        #expect(try answers(server) == ["one"])
        try server.log("an upstream's address is used again")
    }

    @Test("a client is refused when all addresses have been tried, no more than tries says, and no address twice")
    func allFail() throws {
        let ports = try (0..<4).map { _ in Int(try Wire.freePort()) }
        let server = try server(
            "addresses: [\(ports.map { "\"127.0.0.1:\($0)\"" }.joined(separator: ", "))]\ntries: 3\neject-after: off",
            workers: 1)
        #expect(try answers(server).isEmpty)
        try server.log("the upstream cannot be reached")
        let report = try server.waitUntil { report in ports.prefix(3).allSatisfy { row(report, $0)?.failed == 1 } }
        #expect(row(report, ports[3])?.failed == 0 && row(report, ports[0])?.state == .up)
    }

    // MARK: Checks

    @Test("a check takes an address out and brings it back; while all are out all are tried")
    func checks() throws {
        let peers = try ["one", "two"].map { try NamedPeer($0) }
        let server = try server(
            list(peers)
                + "\ncheck: http\ncheck-path: /check\ncheck-every: 100ms\nfall: 2\nrise: 2\nbalance: round-robin\nslow-start: 1h"
        )
        #expect(Set(try answers(server, 12)) == ["one", "two"])
        try peers[0].setStatus(503)
        #expect(try wait(server, peers[0].port, .down).reason == "it answers with status 503")
        try server.log("an upstream's address is down")
        // The workers have heard of it a moment later.
        let deadline = ContinuousClock.now + .seconds(30)
        while Set(try answers(server, 8)) != ["two"], ContinuousClock.now < deadline {}
        #expect(Set(try answers(server, 8)) == ["two"])
        try peers[1].setStatus(404)
        try wait(server, peers[1].port, .down)
        #expect(try answers(server, 2).count == 2)
        try peers[0].setStatus(204)
        let row = try wait(server, peers[0].port, .starting)
        #expect(row.lastCheck == "ok" && row.checkFailures ?? 0 >= 2)
        try server.log("an upstream's address is up again")
    }

    @Test(
        "tcp wants somebody who accepts, tls one whose certificate is good, http over TLS one who answers",
        arguments: ["tcp", "tls", "http"])
    func checkKinds(kind: String) throws {
        let authority = try OpenSSLAuthority()
        let issued = try authority.issue("localhost")
        let nginx = try Nginx.start(in: authority.files) { port in
            """
            listen 127.0.0.1:\(port) ssl;
            ssl_certificate \(issued.certificate);
            ssl_certificate_key \(issued.key);
            location / { return 200 "nginx\\n"; }
            """
        }
        defer { withExtendedLifetime(nginx.process) {} }
        func upstream(_ name: String) -> String {
            "addresses: 127.0.0.1:\(nginx.port)\ntls: true\ntls-ca: \(authority.certificate)\ntls-name: \(name)\n"
                + "check: \(kind)\ncheck-every: 100ms\nfall: 1\nrise: 1"
        }
        let server = try server(upstream("localhost"))
        _ = try server.waitUntil { row($0, nginx.port)?.lastCheck == "ok" }
        _ = try write(upstream("other.example"))
        try server.reload()
        if kind == "tcp" {
            #expect(try row(server.status(), nginx.port)?.state == .up)
        } else {
            let row = try wait(server, nginx.port, .down)
            #expect(row.reason?.contains("certificate") == true, "\(row)")
        }
    }

    @Test("checks send the PROXY protocol header that the upstream wants, and end in time when nobody answers")
    func checkHeader() throws {
        let nginx = try Nginx.start(in: files) { port in
            "listen 127.0.0.1:\(port) proxy_protocol;\nlocation / { return 200 \"nginx\\n\"; }"
        }
        defer { withExtendedLifetime(nginx.process) {} }
        // It accepts, and says nothing.
        let silent = try Wire.listen()
        defer { withExtendedLifetime(silent) {} }
        let server = try server(
            "addresses: [127.0.0.1:\(nginx.port), \"127.0.0.1:\(silent.port)\"]\nproxy-protocol: v2\ncheck: http\n"
                + "check-every: 100ms\ncheck-time: 300ms\nfall: 1")
        let report = try server.waitUntil {
            row($0, nginx.port)?.lastCheck == "ok" && row($0, Int(silent.port))?.state == .down
        }
        #expect(row(report, Int(silent.port))?.reason == "it took longer than check-time")
    }

    // MARK: Age

    @Test("a connection that is too old is closed although bytes pass, and is counted")
    func lifetime() throws {
        let peer = try NamedPeer("one")
        let admin = Int(try Wire.freePort())
        let server = try server(list([peer]) + "\nmax-lifetime: 1s", "admin: 127.0.0.1:\(admin)")
        let client = try HoldingClient(server.port)
        try client.stream()
        try client.end()
        _ = try server.waitUntil { $0.connections == 0 }
        let metrics = try PeerProcess(["curl", "-s", "--noproxy", "*", "http://127.0.0.1:\(admin)/metrics"])
        try metrics.expect(nil)
        let labels = "{address=\"127.0.0.1:\(peer.port)\",upstream=\"web\"}"
        #expect(metrics.text.contains("baton_upstream_up\(labels) 1"), "\(metrics.text)")
        #expect(metrics.text.contains("baton_upstream_opened_total\(labels) 1"), "\(metrics.text)")
        let closed = metrics.text.split(separator: "\n").filter { $0.hasPrefix("baton_lifetime_closed_total") }
        #expect(closed.contains { $0.hasSuffix(" 1") }, "\(closed)")
    }

    // MARK: Wrong input

    @Test(
        "baton check says what is wrong with an upstream",
        arguments: [
            (
                "addresses: [\"a:1 weight=300\"]",
                "upstreams.web.addresses: ['a:1 weight=300'] is not allowed; it must be one or more of: HOST:PORT"
            ),
            (
                "addresses: [\"a:1 weight=0\"]",
                "upstreams.web.addresses: have weight=0, all of them; leave one that gets connections"
            ),
            ("addresses: [a:1, \"a:1 weight=2\"]", "upstreams.web.addresses: has one twice; give it a weight instead"),
            (
                "addresses: a:1, balance: random",
                "upstreams.web.balance: 'random' is not allowed; it must be first, round-robin, least-connections, hash"
            ),
            (
                "addresses: a:1, check: ping",
                "upstreams.web.check: 'ping' is not allowed; it must be none, tcp, tls, http"
            ),
            ("addresses: a:1, check-path: /x", "upstreams.web.check-path: is for check: http"),
            (
                "addresses: a:1, slow-start: 1m",
                "upstreams.web.slow-start: is for balance: round-robin or least-connections"
            ),
            (
                "addresses: \"srv:_a._tcp.b\", tls: true",
                "upstreams.web.tls-name: is needed to verify what SRV records lead to"
            ),
            (
                "addresses: a:1, max-lifetime: 0s",
                "upstreams.web.max-lifetime: '0s' is not allowed; it must be a time from 1s"
            ),
            ("addresses: a:1, resolve-every: 1ms", "upstreams.web.resolve-every: '1ms' is not allowed"),
        ])
    func wrong(settings: String, message: String) throws {
        let path = try files.write(
            "listeners: {main: {address: \"127.0.0.1:0\"}}\nupstreams: {web: {\(settings)}}\n", "wrong.yaml")
        let check = try PeerProcess([try BuiltProgram.path("baton"), "check", "--config", path])
        try check.expect(nil)
        #expect(check.text.contains(message) && check.status != 0, "\(check.text)")
    }
}
