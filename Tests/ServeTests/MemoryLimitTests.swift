import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite("A machine without enough memory", .serialized, .timeLimit(.minutes(5)))
struct MemoryLimitTests {
    /// Less than relays' memory, and more than all else that a process has.
    private static let limit = 1 << 30

    @Test(
        "memory for relays that the machine does not give is a line with the reason; they are refused, who waits for a route is not",
        arguments: ["--as", "--fsize"])
    func arena(kind: String) throws {
        let files = try TemporaryFiles()
        let upstream = try Clients.upstream()
        defer { withExtendedLifetime(upstream.process) {} }
        let path = try files.write(
            """
            listeners:
              relayed: {address: "127.0.0.1:0"}
              waiting: {address: "127.0.0.1:0", tls: false}
              page: {address: "127.0.0.1:0", tls: false}
            upstreams:
              plain: {addresses: ["127.0.0.1:\(upstream.port)"]}
            routes:
              relayed: {listeners: [relayed], target: plain}
              page: {listeners: [page], target: hello}
              never: {listeners: [waiting], path: /never, target: plain}
            """, "baton.yaml")
        let server = try Server(
            ["--config", path], workers: 1,
            program: ["prlimit", "\(kind)=\(Self.limit)", try BuiltProgram.path("baton")])
        let waiting = try (0..<4).map { _ in try Wire.connect(UInt16(try server.port("waiting"))) }
        let before = try server.waitUntil { $0.connections == 4 }
        let refused = try Clients.exchange(try server.port("relayed"))
        try refused.expect("FAILED")
        try server.log("connections cannot be served")
        let line = try #require(
            server.logged.split(separator: "\n").first { $0.contains("connections cannot be served") })
        #expect(line.contains("reason=") && line.contains(kind == "--as" ? "annot allocate" : "too large"), "\(line)")
        let page = try Wire.connect(UInt16(try server.port("page")))
        try page.write(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        #expect((try? page.read()) ?? [] == [])
        // As many as there are numbers for arenas, and more.
        let many = try Clients.exchange(try server.port("relayed"), connections: 300)
        try many.endInput()
        try many.expect("WHOLE 0 of 300")
        let lines = server.logged.components(separatedBy: "connections cannot be served").count - 1
        #expect((1...50).contains(lines), "\(lines) lines")
        let after = try server.status()
        #expect(after.workers.map(\.pid) == before.workers.map(\.pid) && after.deaths == .init(front: 0, workers: 0))
        for wire in waiting { #expect(try Self.ask(wire).hasPrefix("HTTP/1.1 404")) }
        server.signal(SIGTERM)
        try server.end()
        #expect(server.exitStatus == 0)
    }

    /// Asks for what there is no route to.
    private static func ask(_ wire: Wire) throws -> String {
        try wire.write(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        return String(decoding: try wire.read(), as: UTF8.self)
    }
}
