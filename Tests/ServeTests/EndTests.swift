import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// How the end of one side reaches the other: in order, behind all bytes, or as a break that cannot be taken for an end.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct EndTests {
    /// What the client and the upstream speak: a version of TLS, or nothing but TCP.
    struct Legs: Sendable, CustomTestStringConvertible {
        let client: String?
        let upstream: String?

        static let all: [Legs] = [
            Legs(client: nil, upstream: nil), Legs(client: nil, upstream: "TLSv1_3"),
            Legs(client: "TLSv1_3", upstream: nil), Legs(client: "TLSv1_3", upstream: "TLSv1_3"),
            Legs(client: "TLSv1_2", upstream: "TLSv1_2"),
        ]

        var testDescription: String { "\(client ?? "plain") to \(upstream ?? "plain")" }

        func version(of side: EndingPeers.Side) -> String? { side == .client ? client : upstream }
    }

    private let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    private func run(
        _ legs: Legs, _ arguments: [String] = [], workers: Int = 2
    ) throws -> (peers: EndingPeers, server: Server) {
        let peers = try EndingPeers(client: legs.client, upstream: legs.upstream, in: files)
        let server = try Server(
            ["--upstream", "127.0.0.1:\(peers.upstreamPort)", "--listeners.default.tls", "\(legs.client != nil)"]
                + ["--upstreams.default.tls", "\(legs.upstream != nil)", "--upstreams.default.tls-verify", "false"]
                + arguments, workers: workers)
        try peers.use(port: server.port)
        return (peers, server)
    }

    private func other(_ side: EndingPeers.Side) -> EndingPeers.Side { side == .client ? .upstream : .client }

    /// How a side hears of an end in order.
    private func order(_ version: String?) -> String { version == nil ? "FIN" : "close_notify" }

    @Test(
        "an end in order is passed on in order, any other as a reset, both behind every byte, also while sessions move",
        arguments: Legs.all, [0, 1])
    func matrix(legs: Legs, moveEvery: Int) throws {
        let (peers, server) = try run(legs, ["--move-every", "\(moveEvery)"])
        for speaker in EndingPeers.Side.allCases {
            for end in EndingPeers.End.allCases where legs.version(of: speaker) != nil || end.isPlain {
                let how = end == .order ? order(legs.version(of: other(speaker))) : "RST"
                #expect(try peers.end(end, by: speaker) == "WHOLE \(how)", "\(end) of the \(speaker)")
            }
        }
        if moveEvery > 0 { _ = try server.waitUntil { $0.moves.handoff > 0 } }
    }

    @Test("who has ended its side is answered, however long the answer is", arguments: Legs.all, [0, 1])
    func halfClosed(legs: Legs, moveEvery: Int) throws {
        let (peers, server) = try run(legs, ["--move-every", "\(moveEvery)"])
        defer { withExtendedLifetime(server) {} }
        for speaker in EndingPeers.Side.allCases {
            let (asked, answered) = (order(legs.version(of: other(speaker))), order(legs.version(of: speaker)))
            #expect(try peers.answer(to: speaker) == "WHOLE \(asked), WHOLE \(answered)", "\(speaker)")
        }
    }

    @Test("what comes together with its end, before the other side is there, arrives as a whole", arguments: Legs.all)
    func atOnce(legs: Legs) throws {
        let (peers, server) = try run(legs)
        defer { withExtendedLifetime(server) {} }
        let wanted = "WHOLE \(order(legs.upstream)), WHOLE \(order(legs.client))"
        for size in [1, 5_000, 5_000, 60_000] {
            #expect(try peers.atOnce(String(repeating: "z", count: size)) == wanted, "\(size) bytes")
        }
        for _ in 0..<3 { #expect(try peers.banner() == "WHOLE \(order(legs.client))") }
    }

    @Test(
        "a request together with the end is answered: routed by its path, behind a PROXY header, by the page and the echo",
        arguments: [nil, "TLSv1_2", "TLSv1_3"], [nil, "PROXY TCP4 192.0.2.7 198.51.100.9 1234 443\r\n"])
    func routedAtOnce(client: String?, preface: String?) throws {
        let peers = try EndingPeers(client: client, upstream: nil, in: files)
        let server = try Server([
            "--config",
            try files.write(
                """
                listeners:
                  main:
                    address: 127.0.0.1:0
                    tls: \(client != nil)
                    proxy-protocol: \(preface == nil ? "off" : "any")
                routes:
                  app: { path: /app, target: app }
                  echo: { path: /echo, target: echo }
                  page: { path: /page, target: hello }
                upstreams:
                  app: { addresses: ["127.0.0.1:\(peers.upstreamPort)"] }
                move-every: 1

                """, "baton.yaml"),
        ])
        try peers.use(port: server.port)
        let end = order(client)
        let answer = try peers.atOnce("GET /app HTTP/1.1\r\nHost: a\r\n\r\n", preface: preface ?? "")
        #expect(answer == "WHOLE FIN, WHOLE \(end)")
        let request = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
        let echo = try peers.atOnce(request, preface: preface ?? "", byServer: true)
        #expect(echo == request.replacing("\r\n", with: "|") + " \(end)")
        let page = try peers.atOnce("GET /page HTTP/1.1\r\nHost: a\r\n\r\n", preface: preface ?? "", byServer: true)
        #expect(page.hasPrefix("HTTP/1.1 200 OK|") && page.hasSuffix("</html>| \(end)"), "\(page)")
    }

    @Test("a session that is ended for its idle time looks whole to nobody", arguments: Legs.all)
    func idleTime(legs: Legs) throws {
        let (peers, server) = try run(legs, ["--listeners.default.idle-time", "1s"])
        defer { withExtendedLifetime(server) {} }
        #expect(try peers.idle() == "RST, RST")
    }

    @Test("a server that ends at once leaves no session that looks whole", arguments: Legs.all)
    func stopped(legs: Legs) throws {
        let (peers, server) = try run(legs)
        try peers.begin()
        server.signal(SIGTERM)
        try server.log("shutting down")
        server.signal(SIGTERM)
        #expect(try peers.finish() == "RST, RST")
    }

    @Test("an upstream that cannot be reached is no empty answer", arguments: [nil, "TLSv1_3"])
    func unreachable(client: String?) throws {
        let peers = try EndingPeers(client: client, upstream: nil, in: files)
        let server = try Server([
            "--upstream", "127.0.0.1:\(try Wire.freePort())", "--listeners.default.tls", "\(client != nil)",
        ])
        try peers.use(port: server.port)
        #expect(try peers.unanswered() == "RST")
    }

    @Test("both connections of an idle session ask whether their peers live, also after an upgrade")
    func keepalive() throws {
        let (peers, server) = try run(Legs(client: "TLSv1_3", upstream: nil))
        try peers.begin()
        try expectTimers(server.port, peers.upstreamPort)
        try server.upgrade()
        _ = try server.waitUntil { $0.connections == 1 && $0.moves.handoff > 0 }
        try expectTimers(server.port, peers.upstreamPort)
    }

    /// Waits until both have nothing on their way, and so the timer of keepalive.
    private func expectTimers(_ port: Int, _ upstreamPort: Int) throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let listing = try PeerProcess(["ss", "-Htno", "state", "established"])
            try listing.expect(nil)
            let lines = listing.text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            // Receive queue, send queue, local address, peer's address, timers.
            let legs = lines.filter {
                $0.count > 3 && ($0[2].hasSuffix(":\(port)") || $0[3].hasSuffix(":\(upstreamPort)"))
            }
            if legs.count == 2, legs.allSatisfy({ $0.last?.hasPrefix("timer:(keepalive,") == true }) { return }
            guard ContinuousClock.now < deadline else { throw WireError("no keepalive: \(legs)") }
        }
    }
}
