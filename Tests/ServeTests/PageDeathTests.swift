import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// Whoever asks the built-in page does not see that a worker dies: each request gets its answer, once.
@Suite("The built-in page and its workers' deaths", .serialized, .timeLimit(.minutes(20)))
struct PageDeathTests {
    @Test(
        "pipelined requests are answered once each through workers that are killed again and again, and upgrades between",
        arguments: [nil, "TLSv1_2", "TLSv1_3"])
    func killed(version: String?) throws {
        let server = try Server(["--listeners.default.tls", "\(version != nil)"])
        let crowd = try PageCrowd(count: 20, port: server.port, version: version)
        // A connection that is on its way from the front to a worker has no place yet to outlive that in.
        try crowd.pass()
        for death in 1...40 {
            try server.killWorker()
            if death.isMultiple(of: 20) {
                try crowd.pass()
                try server.upgrade()
            }
        }
        try crowd.pass()
        #expect(try server.waitUntil { $0.connections == 20 }.workers.count == 2)
        try crowd.end()
        #expect(crowd.processes > 10)
    }

    @Test(
        "pipelined requests are answered once each while connections move from worker to worker, and by upgrades",
        arguments: [nil, "TLSv1_2", "TLSv1_3"])
    func moved(version: String?) throws {
        let server = try Server(["--listeners.default.tls", "\(version != nil)", "--move-every", "3"], workers: 3)
        let crowd = try PageCrowd(count: 20, port: server.port, version: version)
        for _ in 1...3 {
            try crowd.pass()
            try server.upgrade()
        }
        try crowd.pass()
        _ = try server.waitUntil { $0.connections == 20 && $0.moves.handoff > 20 }
        try crowd.end()
        #expect(crowd.processes > 6)
    }

    @Test(
        "half a request before a worker's death, a move and an upgrade is half of one that is answered",
        arguments: [nil, "TLSv1_2", "TLSv1_3"], [false, true])
    func half(version: String?, moves: Bool) throws {
        let server = try Server(
            ["--listeners.default.tls", "\(version != nil)"] + (moves ? ["--move-every", "1"] : []))
        let crowd = try PageCrowd(count: 10, port: server.port, version: version)
        for round in 0..<4 {
            try crowd.sendHalf()
            for _ in 0..<2 {
                // What dies while a connection is on its way takes that along.
                if round % 2 == 0, !moves { try server.killWorkers() } else { try server.upgrade() }
            }
            try crowd.sendRest()
        }
        #expect(try server.waitUntil { $0.connections == 10 }.workers.count == 2)
        try crowd.end()
    }
}

extension Server {
    /// Kills both workers, and waits until there are others.
    fileprivate func killWorkers() throws {
        let before = try waitUntil { $0.workers.count == 2 && $0.workers.allSatisfy { $0.state == "ready" } }
        for worker in before.workers { kill(worker.pid, SIGKILL) }
        _ = try waitUntil { report in
            !report.workers.contains { worker in before.workers.contains { $0.pid == worker.pid } }
        }
    }
}
