import BatonConfiguration
import BatonServer
import Foundation
import StockPeers

extension StatusReport {
    /// The process id of the front.
    var front: Int32 { frontPid ?? 0 }
}

/// A running `baton serve` with folders of its own. Whatever has replaced it goes with it.
final class Server {
    private let files: TemporaryFiles
    private let process: PeerProcess
    let port: Int
    let control: String

    /// - Parameters:
    ///   - arguments: beside the address, the workers and the control socket.
    ///   - workers: how many; `nil` leaves it to the configuration.
    ///   - control: where the control socket is to be, if not in a folder of the server's own.
    ///   - program: starts with it; `nil`: `baton` as it was built.
    ///   - hasPort: whether it listens at a TCP port of 127.0.0.1, which is `port` then.
    init(
        _ arguments: [String], workers: Int? = 2, control: String? = nil, program: [String]? = nil,
        hasPort: Bool = true
    ) throws {
        files = try TemporaryFiles()
        self.control = control ?? files.path("c.sock")
        process = try PeerProcess(
            (try program ?? [BuiltProgram.path("baton")]) + ["serve", "--control", self.control]
                + (workers.map { ["--workers", "\($0)"] } ?? [])
                + (arguments.contains("--config") || arguments.contains("--listen") ? [] : ["--listen", "127.0.0.1:0"])
                + arguments)
        port = hasPort ? try process.number(behind: "address=127.0.0.1:") : 0
        try process.expect("] serving")
    }

    deinit {
        guard let report = try? status() else { return }
        for worker in report.workers { kill(worker.pid, SIGKILL) }
        kill(report.pid, SIGKILL)
    }

    /// The process id of the service.
    var processID: Int32 { process.processID }

    /// The front's.
    func frontID() throws -> Int32 { try status().front }

    /// What it has logged as far as that was read.
    var logged: String { process.text }

    func log(_ words: String) throws { try process.expect(words) }

    func log(_ words: String, count: Int) throws { try process.expect(words, count: count) }

    func number(behind words: String) throws -> Int { try process.number(behind: words) }

    func signal(_ number: Int32) { kill(process.processID, number) }

    /// Has the configuration read again, and waits until it holds or, if `refusal` is given, is refused so.
    func reload(expecting refusal: String? = nil) throws {
        let words = refusal == nil ? "the configuration has been read again" : "the configuration is kept as it was"
        let before = logged.components(separatedBy: words).count - 1
        kill(try status().pid, SIGHUP)
        try process.expect(words, count: before + 1)
        if let refusal { try process.expect(refusal) }
    }

    /// Waits until the first process has gone, and everything that holds its output.
    func end() throws { try process.expect(nil) }

    /// Waits for the end of the first process.
    var exitStatus: Int32 { process.status }

    func status() throws -> StatusReport { try ControlClient(path: control).status() }

    @discardableResult
    func upgrade(binary: String? = nil) throws -> UpgradeReport {
        try ControlClient(path: control).upgrade(binary: binary) { _ in }
    }

    /// Waits until workers have so many connections. None has moved by that.
    func waitUntilPlaced(_ count: Int) throws -> StatusReport {
        try waitUntil { $0.connections == count && $0.workers.reduce(0) { $0 + $1.connections } == count }
    }

    /// Asks until the answer is right, at most a minute.
    func waitUntil(_ isRight: (StatusReport) -> Bool) throws -> StatusReport {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            let report = try status()
            if isRight(report) { return report }
            guard ContinuousClock.now < deadline else { throw WireError("the server is still at \(report.table)") }
            sched_yield()
        }
    }
}
