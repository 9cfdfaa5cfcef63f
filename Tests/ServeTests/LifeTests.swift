import BatonConfiguration
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct LifeTests {
    @Test("SIGTERM closes what is idle, waits for the rest, and the control socket goes")
    func terminates() throws {
        let server = try Server([])
        let client = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-quiet", "-nocommands"])
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try client.expect("Baton-Moves: 0")
        server.signal(SIGTERM)
        try client.expect(nil)
        try server.end()
        #expect(!FileManager.default.fileExists(atPath: server.control))
    }

    @Test("a second server at the same control socket is refused; a socket whose server was killed is taken over")
    func controlSocket() throws {
        let server = try Server([])
        let arguments = ["serve", "--control", server.control, "--listen", "127.0.0.1:0", "--workers", "1"]
        let baton = try BuiltProgram.path("baton")
        let second = try PeerProcess([baton] + arguments)
        try second.expect("another server uses the control socket")
        server.signal(SIGKILL)
        let third = try PeerProcess([baton] + arguments)
        try third.expect("] serving")
        #expect(try server.status().pid == third.processID)
    }

    @Test("workers whose keeper was killed serve their connections to the end")
    func keeperKilled() throws {
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        _ = try server.waitUntil { $0.connections == 1 }
        server.signal(SIGKILL)
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        // The workers hold the output; they end with their last connection.
        try server.end()
    }

    @Test("the commands say in one line what is wrong")
    func commands() throws {
        let files = try TemporaryFiles()
        let baton = try BuiltProgram.path("baton")
        let status = try PeerProcess([baton, "status", "--control", files.path("none")])
        try status.expect("no server answers there")
        let bad = try files.write("listners:\n  a:\n    address: :0\n", "bad.yaml")
        let check = try PeerProcess([baton, "check", "--config", bad])
        try check.expect("listeners")
        let good = try files.write(
            "control: \(files.path("c"))\nlisteners:\n  a:\n    address: 127.0.0.1:0\n", "good.yaml")
        let checked = try PeerProcess([baton, "check", "--config", good])
        try checked.expect("is good")
    }
}
