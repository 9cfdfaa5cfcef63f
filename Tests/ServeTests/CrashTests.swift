import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct CrashTests {
    /// The signals by which a fault ends a process, and to which the Swift runtime answers alike.
    static let fatal = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP]

    /// Whatever the environment asks of the Swift runtime.
    private static let environment = [
        "env", "SWIFT_BACKTRACE=enable=yes,color=no,threads=all,registers=all,limit=none,output-to=stderr",
    ]

    @Test("a busy worker that crashes says so in one line, and nothing of its memory", arguments: fatal)
    func worker(signal: CInt) throws {
        let traffic = try Traffic()
        let worker = try #require(try traffic.server.status().workers.first)
        kill(worker.pid, signal)
        try traffic.server.log("a worker has died")
        try traffic.server.log("serve-worker \(worker.pid) has died of ")
        try traffic.expectNothing(of: worker.pid)
        // Another is there by then.
        let next = try Clients.exchange(traffic.server.port)
        try next.endInput()
        try next.expect("WHOLE 1 of 1")
    }

    @Test("a front that crashes says so in one line, and nothing of its memory", arguments: [SIGSEGV, SIGABRT])
    func front(signal: CInt) throws {
        let traffic = try Traffic()
        let before = try traffic.server.status()
        let pid = before.front
        kill(pid, signal)
        try traffic.server.log("serve-front \(pid) has died of ")
        _ = try traffic.server.waitUntil { $0.front != pid }
        traffic.server.signal(SIGKILL)
        // With the workers every holder of the log has gone.
        for worker in before.workers { kill(worker.pid, SIGKILL) }
        try traffic.server.end()
        try traffic.expectNothing(of: pid)
    }

    @Test("who asks for the status while a front crashes is answered by the next", arguments: [SIGKILL, SIGSEGV])
    func askedMeanwhile(signal: CInt) async throws {
        let server = try Server(["--upstream", "echo"])
        for deaths in 1...3 {
            let front = try server.status().front
            let control = server.control
            async let asking: Void = Self.ask(ControlClient(path: control), until: deaths)
            kill(front, signal)
            try await asking
        }
    }

    private static func ask(_ client: ControlClient, until deaths: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try client.status().deaths?.front != deaths { try #require(ContinuousClock.now < deadline) }
    }

    @Test("a crash is not held up by a log that nobody reads")
    func stuckLog() throws {
        var ends: [CInt] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        let filler = [UInt8](repeating: 0x2E, count: 4096)
        while write(ends[1], filler, filler.count) > 0 {}
        _ = fcntl(ends[1], F_SETFL, 0)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try BuiltProgram.path("baton"))
        let files = try TemporaryFiles()
        process.arguments = [
            "serve", "--listen", "127.0.0.1:0", "--control", files.path("c.sock"), "--log-level", "critical",
        ]
        process.standardError = FileHandle(fileDescriptor: ends[1])
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let control = ControlClient(path: files.path("c.sock"))
        let deadline = ContinuousClock.now + .seconds(60)
        while (try? control.status()) == nil {
            guard ContinuousClock.now < deadline else { break }
            sched_yield()
        }
        kill(process.processIdentifier, SIGSEGV)
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGSEGV)
    }

    /// A server that is busy with a connection whose secrets are known.
    private struct Traffic {
        let server: Server
        private let client: PeerProcess
        private let files: TemporaryFiles
        private let secrets: [[UInt8]]
        /// What is sent, again and again.
        private static let pattern = "SixteenBytesHere"

        init() throws {
            files = try TemporaryFiles()
            server = try Server(
                ["--upstream", "echo"], workers: 1,
                program: CrashTests.environment + [try BuiltProgram.path("baton")])
            let log = files.path("keys.log")
            client = try PeerProcess([
                "bash", "-c",
                "yes '\(Self.pattern)' | openssl s_client -connect 127.0.0.1:\(server.port) -quiet -keylogfile \(log)",
            ])
            try client.expect("\(Self.pattern)\n\(Self.pattern)")
            secrets = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
                .filter { $0.contains("_SECRET") }.compactMap { $0.split(separator: " ").last }.map { hex in
                    let digits = Array(hex)
                    return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
                        UInt8(String(digits[$0...$0 + 1]), radix: 16)
                    }
                }
            #expect(secrets.count >= 4 && secrets.allSatisfy { $0.count >= 32 })
        }

        /// Nothing of the connection is in the log, and nothing that looks like a register or a piece of memory.
        func expectNothing(of pid: Int32) throws {
            let log = server.logged
            #expect(log.components(separatedBy: "\(pid) has died of ").count == 2, "\(log)")
            #expect(!log.contains(Self.pattern) && !log.contains("Registers") && !log.contains("Thread 0"), "\(log)")
            // The longest word of hexadecimal digits that a time, a port or a process makes is shorter.
            let isDumped = log.contains(/[0-9a-fA-F]{13}/)
            #expect(!isDumped, "\(log)")
            for secret in secrets {
                for start in stride(from: 0, to: secret.count - 4, by: 4) {
                    let word = secret[start..<start + 4].map { String(format: "%02x", $0) }
                    #expect(!log.contains(word.joined()) && !log.contains(word.reversed().joined()), "\(log)")
                }
            }
        }
    }
}
