import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite("What the processes that speak with peers give up", .serialized, .timeLimit(.minutes(5)))
struct ConfinementTests {
    private static let noCapability = "0000000000000000"
    /// CAP_NET_BIND_SERVICE alone.
    private static let portBinding = "0000000000000400"

    /// What the kernel says of each thread of a process.
    private func states(of process: Int32) throws -> [[String: String]] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").map { task in
            let text = try String(contentsOfFile: "/proc/\(process)/task/\(task)/status", encoding: .utf8)
            let lines = text.split(separator: "\n").compactMap { line -> (String, String)? in
                let parts = line.split(separator: ":", maxSplits: 1)
                return parts.count == 2
                    ? (String(parts[0]), parts[1].trimmingCharacters(in: .whitespaces)) : nil
            }
            return Dictionary(lines) { $1 }
        }
    }

    private func expectConfined(_ process: Int32, _ capabilities: [String]) throws {
        let states = try states(of: process)
        #expect(!states.isEmpty)
        for state in states {
            #expect(state["Seccomp"] == "2" && state["NoNewPrivs"] == "1")
            for name in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
                #expect(capabilities.contains(state[name] ?? ""), "\(name) \(state[name] ?? "")")
            }
            // Without CAP_SETPCAP nobody can cut it, and nothing is gained by it with no_new_privs.
            if geteuid() == 0 { #expect(capabilities.contains(state["CapBnd"] ?? "")) }
        }
    }

    @Test("every thread of the front and of the workers is confined, through upgrades, crashes and reloads")
    func states() throws {
        let server = try Server(["--upstream", "echo", "--confinement", "require"])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        try server.log("this process is confined")
        func expectAll() throws {
            let report = try server.await { $0.workers.count == 2 && $0.workers.allSatisfy { $0.state == "ready" } }
            try expectConfined(report.front, [Self.noCapability, Self.portBinding])
            for worker in report.workers { try expectConfined(worker.pid, [Self.noCapability]) }
        }
        try expectAll()
        try server.upgrade()
        try expectAll()
        kill(try server.frontID(), SIGKILL)
        try expectAll()
        try server.reload()
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test("what is forbidden fails, in the front and in the workers, and what is needed does not")
    func forbidden() throws {
        let files = try TemporaryFiles()
        let server = try Server(["--confinement", "require"], program: [try files.baton(failing: "forbidden:fail")])
        // Two workers and a front.
        for words in ["create=\(EACCES)", "packets=\(EAFNOSUPPORT)", "ptrace=\(EPERM)", "allowed=true"] {
            try server.log(words, count: 3)
        }
        // Either rule is enough.
        let refusals =
            server.logged.components(separatedBy: "execve=\(EPERM)").count
            + server.logged.components(separatedBy: "execve=\(EACCES)").count - 2
        #expect(refusals == 3)
    }

    @Test("confinement that is off is none, and an upgrade brings it")
    func off() throws {
        let files = try TemporaryFiles()
        let text = "listeners: {default: {address: \"127.0.0.1:0\"}}\nroutes: {default: {target: echo}}\n"
        let path = try files.write(text + "confinement: off\n", "baton.yaml")
        let server = try Server(["--config", path])
        let before = try server.status()
        for process in [before.front] + before.workers.map(\.pid) {
            #expect(try states(of: process).allSatisfy { $0["Seccomp"] == "0" })
        }
        _ = try files.write(text + "confinement: require\n", "baton.yaml")
        let report = try ControlClient(path: server.control).reload()
        #expect(report.notReloaded == ["confinement (upgrade)"])
        try server.upgrade()
        try expectConfined(try server.frontID(), [Self.noCapability, Self.portBinding])
    }

    @Test("a reload reads files elsewhere, and an upgrade listens at a Unix socket elsewhere")
    func elsewhere() throws {
        let (files, others) = (try TemporaryFiles(), try TemporaryFiles())
        let head = "confinement: require\nlisteners:\n  default: {address: \"127.0.0.1:0\"}\n"
        let routes = "routes: {default: {target: echo}}\n"
        let path = try files.write(head + routes, "baton.yaml")
        let server = try Server(["--config", path])
        let credentials = try Credentials.shared.write("p256", in: others)
        let certificates = "certificates: {main: {chain: \(credentials.certificate), key: \(credentials.key)}}\n"
        _ = try files.write(head + routes + certificates, "baton.yaml")
        #expect(try ControlClient(path: server.control).reload().certificates == 1)
        _ = try files.write(
            head + "  local: {address: \"unix:\(others.path("l.sock"))\"}\n" + routes + certificates, "baton.yaml")
        #expect(throws: RuntimeError.self) { try ControlClient(path: server.control).reload() }
        try server.upgrade()
        #expect(FileManager.default.fileExists(atPath: others.path("l.sock")))
        _ = try ControlClient(path: server.control).reload()
    }
}
