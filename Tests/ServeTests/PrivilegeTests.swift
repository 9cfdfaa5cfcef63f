import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: geteuid() == 0, "needs root"))
struct PrivilegeTests {
    /// A folder that anybody may enter, with the program in it: an upgrade starts it as the user.
    private final class OpenFolder {
        let path: String

        init() throws {
            path = NSTemporaryDirectory() + "baton-open-" + UUID().uuidString
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
            try FileManager.default.copyItem(atPath: try BuiltProgram.path("baton"), toPath: program)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        var program: String { path + "/baton" }
        var control: String { path + "/control/c.sock" }
    }

    /// What the kernel says of each thread of a process.
    private func states(of process: Int32) throws -> [[String: String]] {
        let tasks = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")
        return try tasks.map { task in
            let text = try String(contentsOfFile: "/proc/\(process)/task/\(task)/status", encoding: .utf8)
            var fields: [String: String] = [:]
            for line in text.split(separator: "\n") {
                let parts = line.split(separator: ":", maxSplits: 1)
                guard parts.count == 2 else { continue }
                let words = parts[1].split { $0 == "\t" || $0 == " " }
                fields[String(parts[0])] = words.joined(separator: " ")
            }
            return fields
        }
    }

    private func expectUnprivileged(_ report: StatusReport) throws {
        for process in [report.pid, report.front] + report.workers.map(\.pid) {
            for state in try states(of: process) {
                #expect(state["Uid"] == "65534 65534 65534 65534")
                #expect(state["Gid"] == "65534 65534 65534 65534")
                #expect(state["Groups"] == "65534")
                #expect(state["NoNewPrivs"] == "1")
                #expect(state["CapEff"] == "0000000000000000" && state["CapPrm"] == "0000000000000000")
            }
        }
    }

    /// A port that only root may bind, and nobody has.
    private func privilegedPort() throws -> Int {
        for port in 700..<1024 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if result == 0 { return port }
        }
        throw WireError("every port below 1024 is taken")
    }

    @Test(
        "keeper, front and workers run as the user, in every thread, and an upgrade keeps the port that only root could take"
    )
    func dropped() throws {
        let folder = try OpenFolder()
        let port = try privilegedPort()
        let configuration = folder.path + "/baton.yaml"
        func write(_ more: String) throws {
            try """
            user: nobody
            listeners:
              default:
                address: 127.0.0.1:\(port)
            \(more)
            routes:
              default:
                target: echo
            """.write(toFile: configuration, atomically: true, encoding: .utf8)
        }
        try write("")
        let server = try Server(
            ["--config", configuration], control: folder.control, program: [folder.program])
        #expect(server.port == port)
        try expectUnprivileged(try server.waitUntil { $0.workers.count == 2 })
        let client = try Clients.exchange(port)
        try client.expect("STARTED")
        let report = try server.upgrade()
        try expectUnprivileged(try server.waitUntil { $0.front == report.to && $0.workers.count == 2 })
        let second = try Clients.exchange(port)
        try second.expect("STARTED")
        // What needs a privilege is refused, and all goes on.
        try write("  more:\n    address: 127.0.0.1:\(try privilegedPort())")
        kill(report.to, SIGHUP)
        try server.log("ports below 1024 need root")
        for client in [client, second] {
            try client.endInput()
            try client.expect("WHOLE 1 of 1")
        }
    }

    @Test("a user that does not exist, or cannot be become, is told in one line")
    func refused() throws {
        let folder = try OpenFolder()
        let serve = ["serve", "--listen", "127.0.0.1:0"]
        let here = ["--control", folder.control]
        let unknown = try PeerProcess([folder.program] + serve + here + ["--user", "no-such-user"])
        try unknown.expect("no-such-user does not exist")
        let root = try PeerProcess([folder.program] + serve + here + ["--user", "root"])
        try root.expect("keeps every privilege")
        let elsewhere = NSTemporaryDirectory() + "baton-\(UUID().uuidString).sock"
        let unprivileged = try PeerProcess(
            ["setpriv", "--reuid", "65534", "--clear-groups", folder.program] + serve
                + ["--control", elsewhere, "--user", "daemon"])
        try unprivileged.expect("only root can become user daemon")
    }
}
