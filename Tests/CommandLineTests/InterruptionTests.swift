import Foundation
import StockPeers
import Testing

/// However the demo ends, nothing of it stays: no process, and no file unless it was killed outright.
@Suite("an interrupted baton demo", .serialized)
struct InterruptionTests {
    /// Starts a demo that would take very long, and waits until its owners are at work.
    private func running() throws -> Command {
        let command = try Command(["demo", "--moves", "1000", "--bytes", "64G"])
        try command.start()
        // The demo, three owners and the client, which connects once it has been started.
        try poll("five processes") {
            try ChildProcesses.using(command.folder).count >= 5 && isConnected(command)
        }
        return command
    }

    /// Whether an owner holds the connection: it has a TCP socket then.
    private func isConnected(_ command: Command) throws -> Bool {
        let owners = try ChildProcesses.using(command.folder).filter { pid in
            let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
            return line.split(separator: 0).contains(Data("demo-owner".utf8))
        }
        guard owners.count == 3 else { return false }
        // An undumpable process shows its descriptors to root alone; having used the processor tells as much.
        return owners.contains { pid in
            let stat = FileManager.default.contents(atPath: "/proc/\(pid)/stat") ?? Data()
            let fields = String(decoding: stat, as: UTF8.self).components(separatedBy: ") ").last?.split(separator: " ")
            return (fields?.count ?? 0) > 12 && (Int(fields?[11] ?? "") ?? 0) > 5
        }
    }

    /// Looks again and again, without a limit that a loaded machine could reach.
    private func poll(_ what: String, _ condition: () throws -> Bool) throws {
        let deadline = ContinuousClock.now.advanced(by: .seconds(120))
        while try !condition() {
            guard ContinuousClock.now < deadline else { throw WireError("waited in vain for \(what)") }
            usleep(20_000)
        }
    }

    @Test("ends its owners and its client, and removes its files, on a signal", arguments: [SIGINT, SIGTERM])
    func signalled(_ signal: Int32) throws {
        let command = try running()
        kill(command.process.processIdentifier, signal)
        _ = try command.end()
        #expect(command.process.terminationStatus != 0)
        try poll("the end of every process") { try ChildProcesses.using(command.folder).isEmpty }
        #expect(try command.leftovers().isEmpty)
    }

    @Test("leaves no process behind when it is killed")
    func killed() throws {
        let command = try running()
        kill(command.process.processIdentifier, SIGKILL)
        try poll("the end of every process") { try ChildProcesses.using(command.folder).isEmpty }
    }

    @Test("fails in order when an owner is killed")
    func ownerKilled() throws {
        let command = try running()
        let owner = try #require(
            try ChildProcesses.using(command.folder).first { pid in
                let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
                return line.split(separator: 0).contains(Data("demo-owner".utf8))
            })
        kill(owner, SIGKILL)
        #expect(try command.end() == 1)
        try poll("the end of every process") { try ChildProcesses.using(command.folder).isEmpty }
        #expect(try command.leftovers().isEmpty)
    }

    @Test("goes on to its end when nobody reads its output")
    func outputClosed() throws {
        let command = try Command(["demo", "--json", "--moves", "3", "--bytes", "100K"])
        try command.start()
        try command.stopReading()
        #expect(try command.end() == 1)
        #expect(try command.leftovers().isEmpty)
        #expect(try ChildProcesses.using(command.folder).isEmpty)
    }
}
