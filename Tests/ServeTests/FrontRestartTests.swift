import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// No front comes to take the place of the one that has died.
@Suite("Fronts that fail again and again", .serialized, .timeLimit(.minutes(5)))
struct FrontRestartTests {
    /// `baton` with every front but the first failing so.
    private static func program(_ fault: String) throws -> [String] {
        ["env", "BATON_FAULT=restored:\(fault)", try BuiltProgram.path("baton")]
    }

    /// A server whose front is dead, with a client that exchanges something with a worker.
    private static func withoutFront(_ fault: String) throws -> (server: Server, client: PeerProcess) {
        let server = try Server(["--upstream", "echo"], program: try program(fault))
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        kill(try server.waitUntil { $0.connections == 1 }.front, SIGKILL)
        return (server, client)
    }

    @Test("each attempt is told with its number, and the workers go on; a stop ends them in order with exit status 1")
    func stop() throws {
        let server = try Server(["--upstream", "echo"], program: try Self.program("crash"))
        let client = try Clients.exchange(server.port, connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        let before = try server.waitUntil { $0.connections == 4 }
        kill(before.front, SIGKILL)
        for attempt in 1...4 { try server.log("failed_starts=\(attempt) ") }
        #expect(before.workers.allSatisfy { ProcessFacts.lives($0.pid) })
        server.signal(SIGTERM)
        try server.log("no front can be started to end the server in order; the workers end by themselves")
        #expect(before.workers.allSatisfy { ProcessFacts.lives($0.pid) } && ProcessFacts.lives(server.processID))
        try client.endInput()
        try client.expect("WHOLE 4 of 4")
        try server.end()
        #expect(server.exitStatus == 1)
        let told = server.logged.components(separatedBy: "no front can be started to end").count - 1
        #expect(told == 1, "\(server.logged)")
    }

    @Test("a second stop closes what the workers have, at once")
    func secondStop() throws {
        let (server, client) = try Self.withoutFront("crash")
        try server.log("failed_starts=1 ")
        server.signal(SIGTERM)
        try server.log("the workers end by themselves")
        server.signal(SIGTERM)
        try server.end()
        #expect(server.exitStatus == 1)
        try client.expect("FAILED after")
    }

    @Test("a front that starts and never comes to serve is given up at the second stop")
    func hanging() throws {
        let (server, client) = try Self.withoutFront("hang")
        try server.log("another takes its place")
        server.signal(SIGTERM)
        server.signal(SIGINT)
        try server.log("the workers end by themselves")
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        try server.end()
        #expect(server.exitStatus == 1)
    }

    @Test(
        "a program that cannot be executed for a while: signals are kept, and the first front that starts acts upon them"
    )
    func notExecutable() throws {
        let files = try TemporaryFiles()
        let copy = files.path("baton")
        try FileManager.default.copyItem(atPath: try BuiltProgram.path("baton"), toPath: copy)
        let server = try Server(["--upstream", "echo"], program: [copy])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        let front = try server.waitUntil { $0.connections == 1 }.front
        #expect(chmod(copy, 0o644) == 0)
        kill(front, SIGKILL)
        try server.log("a front cannot be started", count: 3)
        server.signal(SIGHUP)
        try server.log("a front cannot be started", count: 4)
        #expect(chmod(copy, 0o755) == 0)
        try server.log("the configuration has been read again")
        let after = try server.await { $0.front != front && $0.connections == 1 }
        #expect(after.deaths == .init(front: 1, workers: 0))
        // And once more, with a stop.
        #expect(chmod(copy, 0o644) == 0)
        kill(after.front, SIGKILL)
        try server.log("a front cannot be started", count: 5)
        server.signal(SIGTERM)
        try server.log("the workers end by themselves")
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        try server.end()
        #expect(server.exitStatus == 1)
    }
}
