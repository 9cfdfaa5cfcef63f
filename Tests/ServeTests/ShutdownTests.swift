import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct ShutdownTests {
    private func get(_ url: String) throws -> String {
        let curl = try PeerProcess(["curl", "-s", "-w", "STATUS %{http_code}\n", url])
        try curl.expect(nil)
        return curl.text
    }

    private func isRefused(_ port: Int) -> Bool { (try? Wire.connect(UInt16(port))) == nil }

    @Test("until the last connection has ended /healthz says 503, and /metrics and status are answered")
    func window() throws {
        let server = try Server(["--upstream", "echo", "--admin", "127.0.0.1:0"])
        let admin = "http://127.0.0.1:\(try server.number(behind: "admin=127.0.0.1:"))"
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        _ = try server.waitUntil { $0.connections == 1 }
        server.signal(SIGTERM)
        try server.log("shutting down")
        #expect(try get(admin + "/healthz") == "finishing\nSTATUS 503\n")
        #expect(try get(admin + "/metrics").contains("baton_serving 0\n"))
        _ = try server.waitUntil { $0.connections == 1 }
        #expect(isRefused(server.port))
        let reload = try PeerProcess([try BuiltProgram.path("baton"), "reload", "--control", server.control])
        try reload.expect("the server is stopping")
        #expect(throws: RuntimeError.self) { try server.upgrade() }
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        try server.end()
    }

    @Test("an upgrade leaves no moment without an answer of the admin address")
    func upgrades() throws {
        let server = try Server(["--upstream", "echo", "--admin", "127.0.0.1:0"])
        let admin = "http://127.0.0.1:\(try server.number(behind: "admin=127.0.0.1:"))"
        let upgrade = try PeerProcess([try BuiltProgram.path("baton"), "upgrade", "--control", server.control])
        repeat {
            let answer = try get(admin + "/healthz")
            #expect(answer == "ok\nSTATUS 200\n", "\(answer)")
        } while upgrade.isRunning
        try upgrade.expect("has handed")
    }

    @Test("for shutdown-delay new connections are taken while /healthz says 503; then they are not")
    func delay() throws {
        let server = try Server(["--upstream", "echo", "--admin", "127.0.0.1:0", "--shutdown-delay", "3s"])
        let admin = "http://127.0.0.1:\(try server.number(behind: "admin=127.0.0.1:"))"
        server.signal(SIGTERM)
        try server.log("stopping")
        #expect(try get(admin + "/healthz") == "stopping\nSTATUS 503\n")
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        try server.log("shutting down")
        #expect(isRefused(server.port))
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        try server.end()
    }

    @Test("a stop while the new server of an upgrade keeps silent does not wait for shutdown-delay: nobody accepts")
    func delayDuringUpgrade() throws {
        let files = try TemporaryFiles()
        let binary = try files.write(
            "#!/bin/sh\necho $$ >'\(files.path("pid"))'\nBATON_FAULT=told:hang exec '\(try BuiltProgram.path("baton"))' \"$@\"\n",
            "baton")
        try #require(chmod(binary, 0o755) == 0)
        let server = try Server(["--upstream", "echo", "--shutdown-delay", "1h"])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        let upgrade = try PeerProcess(
            [try BuiltProgram.path("baton"), "upgrade", "--control", server.control, "--binary", binary])
        try server.log("the new server is ready")
        let text = try String(contentsOfFile: files.path("pid"), encoding: .utf8)
        let successor = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        server.signal(SIGTERM)
        try server.log("accepts_for_ms=0")
        try server.log("shutting down")
        try upgrade.expect("told to stop")
        kill(successor, SIGKILL)
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        try server.end()
    }

    @Test("after shutdown-time connections are closed in order, and the server ends")
    func time() throws {
        let server = try Server(["--upstream", "echo", "--shutdown-time", "1s"])
        let client = try PeerProcess(["python3", "-c", Self.waitingText, "\(server.port)"])
        try client.expect("OPEN")
        server.signal(SIGTERM)
        try client.expect("CLOSED IN ORDER")
        try server.end()
    }

    @Test("who asks a second time does not wait: connections are closed in order at once")
    func twice() throws {
        let server = try Server(
            ["--upstream", "echo", "--shutdown-delay", "1h", "--shutdown-time", "off"])
        let client = try PeerProcess(["python3", "-c", Self.waitingText, "\(server.port)"])
        try client.expect("OPEN")
        server.signal(SIGTERM)
        try server.log("stopping")
        server.signal(SIGINT)
        try client.expect("CLOSED IN ORDER")
        try server.end()
        #expect(!FileManager.default.fileExists(atPath: server.control))
    }

    /// `suppress_ragged_eofs`: an end without close_notify is an error.
    private static let waitingText = """
        import socket, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        s = context.wrap_socket(
            socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60), suppress_ragged_eofs=False)
        s.sendall(b'x')
        s.recv(1)
        print('OPEN', flush=True)
        print('CLOSED IN ORDER' if s.recv(1) == b'' else 'MORE', flush=True)
        """
}
