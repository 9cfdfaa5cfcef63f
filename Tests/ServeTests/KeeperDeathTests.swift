import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// The keeper is killed while an upgrade is under way.
@Suite("The keeper's death in an upgrade", .serialized, .timeLimit(.minutes(10)))
struct KeeperDeathTests {
    @Test(
        "both fronts end at once, the workers with their last connection, and the next server starts at the same places",
        arguments: ["prepared", "ready", "told", "serving", "accepting"])
    func step(step: String) throws {
        let files = try TemporaryFiles()
        let baton = try BuiltProgram.path("baton")
        // The new front stands still at the step until it is killed.
        let binary = try files.baton(failing: "\(step):hang")
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port, connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        let before = try server.waitUntil { $0.connections == 4 }
        let upgrade = try PeerProcess([baton, "upgrade", "--control", server.control, "--binary", binary])
        try server.log("a new server starts")
        let successor = try server.successorID()
        try ProcessFacts.wait { Self.isStopped(successor) }
        server.signal(SIGKILL)
        try ProcessFacts.wait { !ProcessFacts.lives(successor) && !ProcessFacts.lives(before.front) }
        try upgrade.expect(nil)
        #expect(upgrade.status != 0)
        let next = try Server(
            ["--upstream", "echo", "--listen", "127.0.0.1:\(server.port)"], control: server.control)
        let other = try Clients.exchange(next.port, connections: 2)
        for _ in 0..<2 { try other.expectNext("STARTED") }
        _ = try next.waitUntil { $0.connections == 2 }
        try client.endInput()
        try client.expect("WHOLE 4 of 4")
        // Every process of the first one has its output.
        try server.end()
        try other.endInput()
        try other.expect("WHOLE 2 of 2")
        next.signal(SIGTERM)
        try next.end()
        #expect(next.exitStatus == 0)
    }

    @Test(
        "killed while connections are handed over: each lives on in one of the workers, and all end with their last one"
    )
    func handingOver() throws {
        let crowd = try RelayCrowd(count: 400)
        let server = try Server(crowd.flags)
        try crowd.connect(port: server.port)
        let before = try server.waitUntil { $0.connections == 400 }
        let baton = try BuiltProgram.path("baton")
        let upgrade = try PeerProcess([baton, "upgrade", "--control", server.control])
        try server.log("a new server starts")
        let successor = try server.successorID()
        // It serves: the old front has begun to have connections handed over.
        try server.log("] serving", count: 2)
        server.signal(SIGKILL)
        try ProcessFacts.wait { !ProcessFacts.lives(successor) && !ProcessFacts.lives(before.front) }
        #expect(try crowd.check() == 400)
        let next = try Server(
            crowd.flags + ["--listen", "127.0.0.1:\(server.port)"], control: server.control)
        _ = try next.waitUntil { $0.connections == 0 }
        #expect(try crowd.check() == 400)
        try crowd.end()
        try server.end()
        try upgrade.expect(nil)
    }

    @Test(
        "killed behind its word to yield, before and after that is heard: every connection is one worker's",
        arguments: ["yield", "yielded"])
    func yielding(step: String) throws {
        let files = try TemporaryFiles()
        let server = try Server(["--upstream", "echo"], program: [try files.baton(failing: "\(step):hang")])
        let client = try Clients.exchange(server.port, connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        let before = try server.waitUntil { $0.connections == 4 }
        let upgrade = try PeerProcess(
            [
                try BuiltProgram.path("baton"), "upgrade", "--control", server.control, "--binary",
                BuiltProgram.path("baton"),
            ])
        try server.log("a new server starts")
        let successor = try server.successorID()
        // The old workers stop before they yield, or the keeper when the first of them has.
        let stopped = step == "yield" ? before.workers.map(\.pid) : [server.processID]
        try ProcessFacts.wait { stopped.allSatisfy(Self.isStopped) }
        server.signal(SIGKILL)
        try ProcessFacts.wait { !ProcessFacts.lives(successor) && !ProcessFacts.lives(before.front) }
        for worker in before.workers { kill(worker.pid, SIGCONT) }
        try upgrade.expect(nil)
        try client.endInput()
        try client.expect("WHOLE 4 of 4")
        try server.end()
    }

    private static func isStopped(_ process: Int32) -> Bool {
        (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8))?.contains(") T") == true
    }
}
