import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// Signals that reach every process of a server: `pkill -HUP baton`, `systemctl kill`, a stop of a whole control group.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct SignalTests {
    @Test("no process dies of a signal that it does not use, and SIGHUP to all of them is a reload")
    func signalsToAll() throws {
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port, connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        let before = try server.waitUntil { $0.connections == 4 }
        let signals = [SIGHUP, SIGUSR1, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGPIPE, SIGXFSZ, SIGWINCH, 34, 64]
        for number in signals {
            for process in before.workers.map(\.pid) + [before.pid, before.front] { kill(process, number) }
        }
        for worker in before.workers { kill(worker.pid, SIGUSR2) }
        try server.log("the configuration has been read again")
        let after = try server.status()
        #expect(
            after.pid == before.pid && after.front == before.front
                && after.workers.map(\.pid) == before.workers.map(\.pid))
        try client.endInput()
        try client.expect("WHOLE 4 of 4")
    }

    @Test("a stop that reaches the workers before the front lets every connection end")
    func stopOfAll() throws {
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port, connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        let report = try server.waitUntil { $0.connections == 4 }
        for worker in report.workers { kill(worker.pid, SIGTERM) }
        kill(report.pid, SIGTERM)
        try server.log("shutting down")
        #expect(!server.logged.contains("a worker was asked to stop"))
        try client.endInput()
        try client.expect("WHOLE 4 of 4")
        try server.end()
    }

    @Test("a worker without its front ends in order when it is asked to")
    func orphan() throws {
        let server = try Server(["--upstream", "echo"], workers: 1)
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        let report = try server.waitUntil { $0.connections == 1 }
        server.signal(SIGKILL)
        for worker in report.workers { kill(worker.pid, SIGTERM) }
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        try server.end()
    }

    @Test("a signal that comes while the server starts, or that its parent ignores, is heard")
    func early() throws {
        for word in ["SIG_BLOCK", "SIG_IGN"] {
            let server = try Server(
                ["--upstream", "echo"],
                program: ["python3", "-c", Self.earlyText, word, try BuiltProgram.path("baton")])
            if word == "SIG_IGN" { server.signal(SIGHUP) }
            try server.log("the configuration has been read again")
            let client = try Clients.exchange(server.port)
            try client.endInput()
            try client.expect("WHOLE 1 of 1")
        }
    }

    private static let earlyText = """
        import os, signal, sys
        if sys.argv[1] == 'SIG_BLOCK':
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
            os.kill(os.getpid(), signal.SIGHUP)
        else:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execv(sys.argv[2], sys.argv[2:])
        """
}
