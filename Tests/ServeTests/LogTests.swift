import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct LogTests {
    @Test("while the reader of the log stands still connections, commands and upgrades go on, and lines come later")
    func stalledReader() throws {
        // Nobody reads what the server prints but in `log` and the like.
        let server = try Server(["--upstream", "echo", "--log-level", "trace"])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        // Far more than a pipe holds.
        let crowd = try PeerProcess(["python3", "-c", Self.crowdText, "\(server.port)", "1500"])
        try crowd.expect("DONE")
        let before = try server.status()
        let report = try server.upgrade()
        #expect(report.from == before.front)
        let another = try Clients.exchange(server.port)
        try another.endInput()
        try another.expect("WHOLE 1 of 1")
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        kill(report.to, SIGTERM)
        try server.log("shutting down")
        try server.end()
    }

    @Test("a full disk, or a reader that has gone, ends nothing; the lines that are missing are counted")
    func noRoom() throws {
        let files = try TemporaryFiles()
        let baton = try BuiltProgram.path("baton")
        for sink in ["2>/dev/full", "2>&-", "2> >(exit)"] {
            let (socket, control) = (files.path("s"), files.path("c"))
            let server = try PeerProcess(
                ["bash", "-c", "exec \"$@\" \(sink)", "bash", baton, "serve", "--listen", "unix:\(socket)"]
                    + ["--upstream", "echo", "--workers", "1", "--control", control])
            defer { kill(server.processID, SIGTERM) }
            let deadline = ContinuousClock.now + .seconds(60)
            while !FileManager.default.fileExists(atPath: socket), ContinuousClock.now < deadline { sched_yield() }
            let client = try PeerProcess(["openssl", "s_client", "-quiet", "-nocommands", "-unix", socket])
            try client.send("ping\n")
            try client.expect("ping")
            if sink == "2>/dev/full" {
                while try ControlClient(path: control).status().droppedLogLines ?? 0 == 0 {
                    guard ContinuousClock.now < deadline else { throw WireError("no line is counted as dropped") }
                }
            } else {
                _ = try ControlClient(path: control).status()
            }
            kill(client.processID, SIGKILL)
            try client.expect(nil)
            kill(server.processID, SIGTERM)
            try server.expect(nil)
            unlink(socket)
        }
    }

    private static let crowdText = """
        import socket, sys
        for _ in range(int(sys.argv[2])):
            s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=30)
            s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
            while s.recv(4096): pass
            s.close()
        print('DONE', flush=True)
        """
}
