import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite("An upgrade that fails at a step", .serialized, .timeLimit(.minutes(5)))
struct UpgradeStepTests {
    @Test(
        "the new server fails or crashes before it has said that it accepts: the old one has every connection",
        arguments: [
            "prepared:fail", "prepared:crash", "ready:fail", "ready:crash", "told:fail", "told:crash",
            "serving:fail", "serving:crash",
        ])
    func before(fault: String) throws {
        let files = try TemporaryFiles()
        let server = try Server(["--upstream", "echo"])
        let clients = try Clients.exchange(server.port, connections: 4)
        for _ in 0..<4 { try clients.expect("STARTED") }
        let before = try server.waitUntilPlaced(4)
        let binary = try files.baton(failing: fault)
        #expect(throws: RuntimeError.self) { try server.upgrade(binary: binary) }
        let after = try server.status()
        #expect(after.front == before.front && after.workers.map(\.pid) == before.workers.map(\.pid))
        #expect(after.connections == 4 && after.moves.handoff == before.moves.handoff)
        let others = try Clients.exchange(server.port, connections: 2)
        for _ in 0..<2 { try others.expect("STARTED") }
        #expect(try server.upgrade().connections == 6)
        for (clients, count) in [(clients, 4), (others, 2)] {
            try clients.endInput()
            try clients.expect("WHOLE \(count) of \(count)")
        }
    }

    @Test("what the new server has bound is in another process's hands: the reason is told, and nothing has changed")
    func boundPort() throws {
        let files = try TemporaryFiles()
        let other = try Server(["--upstream", "echo"])
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        let pid = try server.frontID()
        let baton = try BuiltProgram.path("baton")
        let binary = try files.write(
            "#!/bin/sh\nexec '\(baton)' \"$@\" --listeners.more.address 127.0.0.1:\(other.port)\n", "baton")
        #expect(chmod(binary, 0o755) == 0)
        let error = #expect(throws: RuntimeError.self) { try server.upgrade(binary: binary) }
        #expect(error?.message.contains("\(other.port)") == true, "\(String(describing: error))")
        #expect(try server.frontID() == pid)
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test("too few descriptors for the new server are told before anything has changed")
    func descriptors() throws {
        let files = try TemporaryFiles()
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        let pid = try server.frontID()
        let baton = try BuiltProgram.path("baton")
        let binary = try files.write("#!/bin/sh\nulimit -n 24\nexec '\(baton)' \"$@\"\n", "baton")
        #expect(chmod(binary, 0o755) == 0)
        #expect(throws: RuntimeError.self) { try server.upgrade(binary: binary) }
        #expect(try server.frontID() == pid)
        try server.upgrade()
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test("what cannot be executed is one line, and the server goes on", arguments: ["no-file", "plain", "text", "."])
    func notExecutable(name: String) throws {
        let files = try TemporaryFiles()
        let server = try Server(["--upstream", "echo"])
        let pid = try server.frontID()
        if name != "no-file", name != "." {
            _ = try files.write("neither a program nor a script", name)
            #expect(chmod(files.path(name), name == "text" ? 0o755 : 0o644) == 0)
        }
        let error = #expect(throws: RuntimeError.self) { try server.upgrade(binary: files.path(name)) }
        #expect(error?.message.contains("cannot start") == true && error?.message.contains("\n") == false)
        #expect(try server.frontID() == pid)
    }

    @Test("an upgrade starts what the link leads to by then, and so does the next one")
    func link() throws {
        let files = try TemporaryFiles()
        let manager = FileManager.default
        let baton = try BuiltProgram.path("baton")
        for release in ["1.0", "1.1", "1.2"] {
            try manager.createDirectory(atPath: files.path(release), withIntermediateDirectories: false)
            try manager.copyItem(atPath: baton, toPath: files.path("\(release)/baton"))
        }
        func turn(to release: String) throws {
            try manager.createSymbolicLink(atPath: files.path("next"), withDestinationPath: release)
            guard rename(files.path("next"), files.path("current")) == 0 else { throw WireError("rename") }
        }
        try turn(to: "1.0")
        let server = try Server(["--upstream", "echo"], program: [files.path("current/baton")])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        for (former, release) in [("1.0", "1.1"), ("1.1", "1.2")] {
            try turn(to: release)
            // Deploy tools remove what is not used any more, and may do so before the upgrade.
            try manager.removeItem(atPath: files.path(former))
            let report = try server.upgrade()
            #expect(report.program?.hasSuffix("/\(release)/baton") == true, "\(report)")
            #expect(report.version == BatonVersion.current)
            #expect(try server.status().program == report.program)
        }
        // Without any file to start nothing is lost, and workers are started all the same.
        try manager.removeItem(atPath: files.path("1.2"))
        let error = #expect(throws: RuntimeError.self) { try server.upgrade() }
        #expect(error?.message.contains("no such file") == true)
        #expect(try ControlClient(path: server.control).setWorkers(3).workers.count == 3)
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }
}
