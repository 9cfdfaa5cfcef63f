import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct WorkerCountTests {
    @Test(
        "workers are added and retired by a command, while every connection lives on, and an upgrade keeps their number"
    )
    func changes() throws {
        let server = try Server(["--upstream", "echo"], workers: 2)
        let client = try Clients.exchange(server.port, connections: 6)
        for _ in 0..<6 { try client.expect("STARTED") }
        let control = ControlClient(path: server.control)
        let more = try control.setWorkers(4)
        #expect(more.workers.count { $0.state == "ready" } == 4)
        _ = try control.setWorkers(1)
        let one = try server.waitUntil { $0.workers.count == 1 && $0.workers[0].connections == 6 }
        #expect(one.workers[0].pid == more.workers[0].pid)
        try server.upgrade()
        _ = try server.waitUntil { $0.workers.count == 1 && $0.workers[0].connections == 6 }
        let command = try PeerProcess(
            [try BuiltProgram.path("baton"), "workers", "3", "--control", server.control, "--json"])
        try command.expect(nil)
        let report = try JSONDecoder().decode(StatusReport.self, from: Data(command.text.utf8))
        #expect(report.workers.count { $0.state == "ready" } == 3)
        try client.endInput()
        try client.expect("WHOLE 6 of 6")
    }

    @Test("a number that is none is refused, and the configuration's own holds again once it is changed")
    func configured() throws {
        let files = try TemporaryFiles()
        func text(_ workers: Int) -> String {
            "workers: \(workers)\nlisteners:\n  default:\n    address: 127.0.0.1:0\nroutes:\n  default:\n    target: echo\n"
        }
        let path = try files.write(text(3), "baton.yaml")
        let baton = try BuiltProgram.path("baton")
        let server = try Server(["--config", path], workers: nil)
        let refused = try PeerProcess([baton, "workers", "0", "--control", server.control])
        try refused.expect("1 to 1024")
        _ = try ControlClient(path: server.control).setWorkers(1)
        _ = try server.waitUntil { $0.workers.count == 1 }
        server.signal(SIGHUP)
        try server.log("the configuration has been read again")
        #expect(try server.status().workers.count == 1)
        _ = try files.write(text(2), "baton.yaml")
        server.signal(SIGHUP)
        _ = try server.waitUntil { $0.workers.count { $0.state == "ready" } == 2 }
    }
}
