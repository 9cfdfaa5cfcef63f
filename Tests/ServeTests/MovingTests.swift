import BatonConfiguration
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct MovingTests {
    @Test("the built-in page answers each request of one connection from another worker")
    func pageMoves() throws {
        let server = try Server(["--move-every", "1"], workers: 3)
        let url = "https://127.0.0.1:\(server.port)/"
        let curl = try PeerProcess(
            ["curl", "-sk", "-o", "/dev/null", "-D", "-", "-w", "CONNECTS %{num_connects}\n"]
                + [url, "-o", "/dev/null", url, "-o", "/dev/null", url])
        try curl.expect(nil)
        let moves = values("Baton-Moves", curl.text)
        #expect(moves == ["0", "1", "2"], "\(curl.text)")
        let owners = values("Baton-Process", curl.text)
        #expect(zip(owners, owners.dropFirst()).allSatisfy { $0 != $1 })
        #expect(curl.text.contains("CONNECTS 0"), "\(curl.text)")
    }

    @Test("both connections of a proxied session move, with every byte between them", arguments: [true, false])
    func proxiedSessionMoves(isTLS: Bool) throws {
        let upstream = try Clients.upstream()
        defer { withExtendedLifetime(upstream.process) {} }
        let server = try Server(
            ["--upstream", "127.0.0.1:\(upstream.port)", "--listeners.default.tls", "\(isTLS)", "--move-every", "3"],
            workers: 3)
        let client = try Clients.bulk(server.port, size: 8_000_000, isTLS: isTLS)
        try client.expect(nil)
        #expect(client.text.contains("SAME"), "\(client.text)")
        _ = try server.waitUntil { $0.moves.handoff > 3 }
    }

    @Test("a killed worker takes no connection with it, and another takes its place")
    func workerKilled() throws {
        let server = try Server(["--upstream", "echo"], workers: 2)
        let first = try Clients.exchange(server.port)
        try first.expect("STARTED")
        let before = try server.waitUntil { $0.workers.contains { $0.connections == 1 } }
        let owner = try #require(before.workers.first { $0.connections == 1 })
        let second = try Clients.exchange(server.port)
        try second.expect("STARTED")
        _ = try server.waitUntil { $0.workers.allSatisfy { $0.connections == 1 } }
        kill(owner.pid, SIGKILL)
        try server.log("a worker has died")
        let after = try server.waitUntil { $0.workers.count == 2 && $0.workers.allSatisfy { $0.pid != owner.pid } }
        #expect(after.front == before.front)
        for client in [first, second] {
            try client.endInput()
            try client.expect("WHOLE 1 of 1")
        }
    }

    @Test("a worker that is asked to stop hands its connections to the others")
    func workerStopped() throws {
        let server = try Server(["--upstream", "echo"], workers: 2)
        let client = try Clients.exchange(server.port, connections: 4)
        for _ in 0..<4 { try client.expect("STARTED") }
        let before = try server.waitUntil { $0.connections == 4 && $0.workers.allSatisfy { $0.connections > 0 } }
        let leaving = try #require(before.workers.first)
        kill(leaving.pid, SIGTERM)
        let after = try server.waitUntil { report in
            report.workers.allSatisfy { $0.pid != leaving.pid } && report.workers.count == 2 && report.connections == 4
        }
        #expect(after.moves.handoff > before.moves.handoff)
        try client.endInput()
        try client.expect("WHOLE 4 of 4")
    }

    private func values(_ field: String, _ text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("\(field): ") }
            .map { String($0.dropFirst(field.count + 2)) }
    }
}
