import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite("A worker that does not answer", .serialized, .timeLimit(.minutes(5)))
struct SilentWorkerTests {
    /// A server with connections in both of its workers, one of which is stopped.
    private func stopped() throws -> (server: Server, worker: StatusReport.Worker) {
        let server = try Server([
            "--upstream", "echo", "--limits.handshake-time", "5m", "--limits.worker-silence", "off",
        ])
        let crowd = try Clients.exchange(server.port, connections: 4)
        for _ in 0..<4 { try crowd.expect("STARTED") }
        self.crowd.value = crowd
        let report = try server.waitUntil { $0.workers.allSatisfy { $0.connections == 2 } }
        let worker = try #require(report.workers.first)
        kill(worker.pid, SIGSTOP)
        return (server, worker)
    }

    private final class Box { var value: PeerProcess? }
    private let crowd = Box()

    @Test("it gets no new connections, those that are on their way to it go to another, and it is shown")
    func avoided() throws {
        let (server, worker) = try stopped()
        let more = try Clients.exchange(server.port, connections: 6)
        for _ in 0..<6 { try more.expect("STARTED") }
        let report = try server.waitUntil { $0.workers.contains { $0.state == "silent" } }
        #expect(report.workers.first { $0.state == "silent" }?.pid == worker.pid)
        _ = try server.waitUntil { $0.workers.contains { $0.pid != worker.pid && $0.connections == 8 } }
        kill(worker.pid, SIGCONT)
        _ = try server.waitUntil { !$0.workers.contains { $0.state == "silent" } }
        for (clients, count) in [(more, 6), (try #require(crowd.value), 4)] {
            try clients.endInput()
            try clients.expect("WHOLE \(count) of \(count)")
        }
    }

    @Test(
        "one that stands still for longer than its limit is killed and writes nothing more; its relays go on elsewhere")
    func fenced() throws {
        let files = try TemporaryFiles()
        let crowd = try BusyCrowd(.tls, count: 60, rate: 4, files: files)
        let server = try crowd.serve(["--limits.worker-silence", "1s"], in: files)
        for round in 1...3 {
            let worker = try server.stopBusiestWorker()
            try server.log("it is killed", count: round)
            // It may be on its way; whether it goes on or is dead, one owner writes.
            kill(worker.pid, SIGCONT)
            _ = try server.waitUntil { report in !report.workers.contains { $0.pid == worker.pid } }
            // It has been waited for.
            #expect(kill(worker.pid, SIGCONT) == -1 && errno == ESRCH)
            try crowd.pass()
        }
        let status = try server.waitUntil { $0.connections == 60 }
        #expect(status.deaths?.workers == 3)
        try crowd.end()
    }

    @Test("one that goes on at about the moment at which it would be killed loses no byte, whichever comes first")
    func late() throws {
        let files = try TemporaryFiles()
        let crowd = try BusyCrowd(.plain, count: 30, rate: 4, files: files)
        let server = try crowd.serve(["--limits.worker-silence", "1s"], in: files)
        for _ in 1...6 {
            let worker = try server.stopBusiestWorker()
            try crowd.tick()
            kill(worker.pid, SIGCONT)
            try crowd.pass()
        }
        _ = try server.waitUntil { $0.connections == 30 }
        try crowd.end()
    }

    @Test("another takes the place of the only worker")
    func replaced() throws {
        let server = try Server(["--upstream", "echo", "--limits.worker-silence", "off"], workers: 1)
        let worker = try #require(try server.status().workers.first)
        kill(worker.pid, SIGSTOP)
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        kill(worker.pid, SIGKILL)
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        #expect(try server.waitUntil { $0.workers.count == 1 }.workers.first?.pid != worker.pid)
    }

    @Test("an upgrade leaves it behind and says so; once it goes on, its connections follow")
    func upgrade() throws {
        let (server, worker) = try stopped()
        let report = try server.upgrade()
        #expect(report.connections == 2 && report.left == 2 && report.silentWorkers == [worker.pid])
        let status = try server.waitUntil { $0.former != nil }
        #expect(status.front == report.to && status.former?.silentWorkers == [worker.pid])
        let error = #expect(throws: RuntimeError.self) { try server.upgrade() }
        #expect(error?.message.contains("\(worker.pid)") == true)
        kill(worker.pid, SIGCONT)
        _ = try server.waitUntil { $0.former == nil && $0.connections == 4 }
        try server.upgrade()
        let clients = try #require(crowd.value)
        try clients.endInput()
        try clients.expect("WHOLE 4 of 4")
    }

    @Test("a stop while an upgrade waits for it ends both servers and the worker", arguments: [false, true])
    func stop(isOld: Bool) throws {
        let (server, worker) = try stopped()
        let old = try server.frontID()
        server.signal(SIGUSR2)
        let new = try server.waitUntil { $0.front != old }.front
        // The others have been handed over.
        _ = try server.waitUntil { $0.connections == 2 }
        let stopped = isOld ? old : new
        kill(stopped, SIGTERM)
        try server.log("shutting down")
        // Asked twice, a server stops at once.
        kill(stopped, SIGTERM)
        try server.end()
        // The log has ended a moment before its writers.
        let deadline = ContinuousClock.now + .seconds(60)
        for pid in [new, old, server.processID, worker.pid] {
            while !isDead(pid), ContinuousClock.now < deadline { sched_yield() }
            #expect(isDead(pid), "\(pid) lives")
        }
        #expect(throws: RuntimeError.self) { try server.status() }
        #expect(throws: (any Error).self) { _ = try Wire.connect(UInt16(server.port)) }
    }

    /// A process whose parent has not waited for it yet is dead as well.
    private func isDead(_ pid: Int32) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return true }
        return text.contains(") Z")
    }

    @Test("the death of the new server while an upgrade waits for it gives everything back, with the control socket")
    func newServerDies() throws {
        let (server, worker) = try stopped()
        let old = try server.frontID()
        server.signal(SIGUSR2)
        let new = try server.waitUntil { $0.front != old && $0.connections == 2 }.front
        kill(new, SIGKILL)
        try server.log("this server goes on")
        kill(worker.pid, SIGCONT)
        #expect(try server.waitUntil { $0.connections >= 2 }.front == old)
        let more = try Clients.exchange(server.port)
        try more.expect("STARTED")
        for (clients, count) in [(more, 1), (try #require(crowd.value), 4)] {
            try clients.endInput()
            try clients.expect("WHOLE \(count) of \(count)")
        }
    }
}

extension Server {
    /// Stops the one of two workers that has most connections, when both are there.
    fileprivate func stopBusiestWorker() throws -> StatusReport.Worker {
        let before = try waitUntil { $0.workers.count == 2 && $0.workers.allSatisfy { $0.state == "ready" } }
        let worker = try #require(before.workers.max { $0.connections < $1.connections })
        kill(worker.pid, SIGSTOP)
        return worker
    }
}
