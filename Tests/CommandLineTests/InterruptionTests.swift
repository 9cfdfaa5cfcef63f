import Foundation
import StockPeers
import Testing

/// However the demo ends, no process of it stays, and no file unless it was killed outright.
@Suite("an interrupted baton demo", .serialized)
struct InterruptionTests {
    /// Starts a demo that would take very long, and waits until its owners are at work.
    private func running() throws -> Command {
        let command = try Command(["demo", "--moves", "100000", "--bytes", "4G"])
        try command.start()
        // The demo, three owners and the client.
        try poll("a running demo") {
            try ChildProcesses.using(command.folder).count >= 5 && isInMidStream(command)
        }
        return command
    }

    /// Whether the client has moved some megabytes.
    private func isInMidStream(_ command: Command) throws -> Bool {
        try ChildProcesses.using(command.folder).contains { pid in
            guard ChildProcesses.arguments(pid).contains("s_client") else { return false }
            let text = String(
                decoding: FileManager.default.contents(atPath: "/proc/\(pid)/io") ?? Data(), as: UTF8.self)
            let counts = text.split(separator: "\n").prefix(2).compactMap { Int($0.split(separator: " ").last ?? "") }
            return counts.reduce(0, +) > 8 << 20
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
        #expect(try command.end() == 128 + signal)
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
            try ChildProcesses.using(command.folder).first { ChildProcesses.arguments($0).contains("demo-owner") })
        kill(owner, SIGKILL)
        #expect(try command.end() == 1)
        try poll("the end of every process") { try ChildProcesses.using(command.folder).isEmpty }
        #expect(try command.leftovers().isEmpty)
    }

    @Test("says so and leaves nothing behind when nobody reads its output")
    func outputClosed() throws {
        let command = try Command(["demo", "--json", "--moves", "3", "--bytes", "100K"])
        try command.start()
        try command.stopReading()
        #expect(try command.end() == 1)
        #expect(try command.leftovers().isEmpty)
        #expect(try ChildProcesses.using(command.folder).isEmpty)
    }
}
