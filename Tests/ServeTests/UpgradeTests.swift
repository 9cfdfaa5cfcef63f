import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct UpgradeTests {
    @Test("connections go on, byte for byte, through five upgrades", arguments: ["TLSv1_2", "TLSv1_3"])
    func upgrades(version: String) throws {
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port, connections: 4, version: version)
        for _ in 0..<4 { try client.expect("STARTED") }
        let pid = try server.status().pid
        var fronts = [try server.frontID()]
        for _ in 0..<5 {
            try server.upgrade()
            fronts.append(try server.frontID())
        }
        #expect(Set(fronts).count == 6)
        #expect(try server.status().pid == pid)
        // Each is counted as moved when the worker that has it comes to it.
        _ = try server.waitUntil { $0.connections == 4 && $0.moves.handoff >= 20 }
        try client.endInput()
        try client.expect("WHOLE 4 of 4")
    }

    @Test("openssl s_client stays connected while proxied through upgrades of a server that also moves")
    func proxiedThroughUpgrades() throws {
        let upstream = try Clients.upstream()
        defer { withExtendedLifetime(upstream.process) {} }
        let server = try Server(["--upstream", "127.0.0.1:\(upstream.port)", "--move-every", "1"])
        let client = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-quiet", "-nocommands"])
        for round in 0..<3 {
            try client.send("line \(round)\n")
            try client.expect("line \(round)\n")
            try server.upgrade()
        }
        try client.send("the end\n")
        try client.expect("the end\n")
    }

    @Test("SIGUSR2 upgrades as the command does")
    func signalUpgrades() throws {
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        let before = try server.frontID()
        server.signal(SIGUSR2)
        try server.log("replaced")
        #expect(try server.waitUntil { $0.connections == 1 }.front != before)
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test(
        "a program that ends at its start, or is not there, leaves the old server serving",
        arguments: ["/bin/false", "/nonexistent/baton"])
    func brokenBinary(binary: String) throws {
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        let before = try server.status()
        #expect(throws: RuntimeError.self) { try server.upgrade(binary: binary) }
        let after = try server.status()
        #expect(after.front == before.front && after.workers.map(\.pid) == before.workers.map(\.pid))
        let another = try Clients.exchange(server.port)
        try another.endInput()
        try another.expect("WHOLE 1 of 1")
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test("a configuration that has become wrong is refused by reload and upgrade, and the server goes on")
    func brokenConfiguration() throws {
        let files = try TemporaryFiles()
        let good = "listeners:\n  default:\n    address: 127.0.0.1:0\nroutes:\n  default:\n    target: echo\n"
        let path = try files.write(good, "baton.yaml")
        let server = try Server(["--config", path])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        _ = try files.write(good + "no-such-key: 1\n", "baton.yaml")
        server.signal(SIGHUP)
        try server.log("the configuration is kept as it was")
        let error = try #require(throws: RuntimeError.self) { try server.upgrade() }
        #expect(error.message.contains("no-such-key"), "\(error)")
        _ = try files.write(good + "move-every: 2\n", "baton.yaml")
        server.signal(SIGHUP)
        try server.log("the configuration has been read again")
        _ = try server.waitUntil { $0.moves.handoff > 5 }
        try server.upgrade()
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }
}
