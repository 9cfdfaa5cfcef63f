import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// The keeper is the first process of a PID namespace.
@Suite(
    "A server as the first process of a container", .serialized, .timeLimit(.minutes(5)), .enabled(if: geteuid() == 0))
struct ContainerTests {
    private let files: TemporaryFiles
    private let container: PeerProcess
    private let control: String
    private let port: Int
    /// The keeper, as it is called outside.
    private let first: Int32

    init() throws {
        files = try TemporaryFiles()
        control = files.path("c.sock")
        container = try PeerProcess([
            "unshare", "-pf", "--mount-proc", "--kill-child", try BuiltProgram.path("baton"), "serve", "--control",
            control, "--listen", "127.0.0.1:0", "--workers", "2", "--upstream", "echo",
        ])
        port = try container.number(behind: "address=127.0.0.1:")
        try container.expect("] serving")
        first = try #require(try ProcessFacts.children(of: container.processID).first)
    }

    /// A process whose parent ends and leaves it to the first one, and that ends then.
    private func leaveOrphan() throws {
        let orphan = try PeerProcess([
            "nsenter", "-t", "\(first)", "-p", "sh", "-c", "exec 3<&0; (read line <&3; echo ORPHAN) & exit 0",
        ])
        try orphan.send("go\n")
        try orphan.expect("ORPHAN")
        try orphan.expect(nil)
    }

    /// Ends one of the workers with SIGKILL, by its id outside.
    private func killWorker() throws {
        let workers = try ProcessFacts.children(of: first).filter { child in
            let words = (try? String(contentsOfFile: "/proc/\(child)/cmdline", encoding: .utf8)) ?? ""
            return words.contains("serve-worker")
        }
        kill(try #require(workers.randomElement()), SIGKILL)
    }

    private func status() throws -> StatusReport { try ControlClient(path: control).status() }

    @Test("it reaps orphans and passes a stop on")
    func reaps() throws {
        let client = try Clients.exchange(port)
        try client.expect("STARTED")
        #expect(try status().pid == 1)
        try leaveOrphan()
        try ProcessFacts.wait { try !ProcessFacts.hasZombie(below: first) }
        kill(first, SIGTERM)
        try container.expect("shutting down")
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        try container.expect(nil)
        #expect(container.status == 0)
    }

    @Test(
        "workers that are killed between orphans and signals are replaced, no process stays a zombie and no signal is lost"
    )
    func killedMeanwhile() throws {
        for round in 1...5 {
            try killWorker()
            kill(first, SIGHUP)
            try leaveOrphan()
            try container.expect("the configuration has been read again", count: round)
            try ProcessFacts.wait {
                guard let report = try? status() else { return false }
                return report.deaths?.workers == round && report.workers.count == 2
                    && report.workers.allSatisfy { $0.state == "ready" }
            } else: {
                "round \(round): \((try? status().table) ?? "no answer"); \(container.text)"
            }
            try ProcessFacts.wait { try !ProcessFacts.hasZombie(below: first) }
        }
        // What was not started by it is no death of the server's.
        #expect(try status().deaths == .init(front: 0, workers: 5))
        let client = try Clients.exchange(port)
        try client.expect("STARTED")
        kill(first, SIGTERM)
        try container.expect("shutting down")
        // Its connections are an echo's, which end with it.
        try? killWorker()
        try client.endInput()
        try client.expect(nil)
        try container.expect(nil)
        #expect(container.status == 0)
    }
}
