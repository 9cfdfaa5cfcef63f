import BatonConfiguration
import BatonServer
import Foundation
import HostLab
import StockPeers
import Testing

extension DrainTests {
    @Suite("needs privileges in two small processes alone")
    struct PrivilegeTests {
        /// CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW, as the kernel prints them.
        private static let network = "0000000000003400"
        private static let none = "0000000000000000"
        private static let moving: UInt64 = 1 << 12 | 1 << 13

        @Test("a server that runs as another user drains there and back, also after an upgrade")
        func asUser() async throws {
            var options = Host.Options()
            options.user = "nobody"
            let hosts = try await Hosts(a: options, b: options)
            let crowd = try Clients.crowd(6)
            try crowd.expect("READY 0 failed")
            for host in [hosts.a, hosts.b] {
                let report = try host.waitUntil { $0.workers.count == 2 }
                for process in [report.pid, report.frontPid ?? 0] + report.workers.map(\.pid)
                    + (try host.processes("serve-migration"))
                {
                    for state in try Self.threads(of: process) {
                        #expect(state["Uid"]?.hasPrefix("65534") == true && state["CapPrm"] == Self.none)
                    }
                }
                try Self.expectNetworkAlone(host)
            }
            let there = try hosts.a.drain()
            #expect(there.isComplete && there.moved == 6, "\(there)")
            // The new server gets the keeper of the old one.
            let upgraded = try Self.upgrade(hosts.b)
            #expect(upgraded.failed == 0 && upgraded.connections == 6)
            try Self.expectNetworkAlone(hosts.b)
            let back = try hosts.b.drain()
            #expect(back.isComplete && back.moved == 6, "\(back)")
            try crowd.endInput()
            try crowd.expect("WHOLE 6 of 6")
        }

        @Test("a server that root has started without a user gives up what moves connections, too")
        func asRoot() async throws {
            let hosts = try await Hosts()
            let report = try hosts.a.waitUntil { $0.workers.count == 2 }
            for process in [report.pid, report.frontPid ?? 0] + report.workers.map(\.pid) {
                for state in try Self.threads(of: process) {
                    for set in ["CapPrm", "CapEff", "CapBnd"] {
                        let bits = UInt64(state[set] ?? "", radix: 16) ?? .max
                        #expect(bits & Self.moving == 0, "\(set) of \(process): \(state[set] ?? "")")
                    }
                }
            }
            try Self.expectNetworkAlone(hosts.a)
        }

        @Test("the privileged process is started again when it dies, without a privilege of the server's")
        func restarted() async throws {
            var options = Host.Options()
            options.user = "nobody"
            let hosts = try await Hosts(a: options, b: options)
            let crowd = try Clients.crowd(3)
            try crowd.expect("READY 0 failed")
            for process in try hosts.a.processes("serve-network") { kill(process, SIGKILL) }
            try hosts.a.log("the privileged process has died")
            let report = try hosts.a.drainOnceTaken()
            #expect(report.isComplete && report.moved == 3, "\(report)")
            try crowd.endInput()
            try crowd.expect("WHOLE 3 of 3")
        }

        @Test("what the privileged process may do cannot be changed by an upgrade, and the server goes on")
        func changed() async throws {
            let hosts = try await Hosts()
            let crowd = try Clients.crowd(2)
            try crowd.expect("READY 0 failed")
            let text = try String(contentsOfFile: hosts.a.configurationFile, encoding: .utf8)
            try text.replacingOccurrences(of: "interface: [e0, e1]", with: "interface: [e0]")
                .write(toFile: hosts.a.configurationFile, atomically: true, encoding: .utf8)
            #expect(throws: RuntimeError.self) { try Self.upgrade(hosts.a) }
            try hosts.a.log("cannot be changed by an upgrade")
            let report = try hosts.a.drain()
            #expect(report.isComplete && report.moved == 2, "\(report)")
            try crowd.endInput()
            try crowd.expect("WHOLE 2 of 2")
        }

        @Test(
            "a front that says nonsense is hung up on, one that asks for many gets four, and the keeper ends with the last"
        )
        func keeper() throws {
            let front = try PeerProcess(["python3", "-c", Self.front, try BuiltProgram.path("baton")])
            try front.expect(nil)
            #expect(front.text.contains("OK"), "\(front.text)")
        }

        /// A front of a keeper, by hand. Messages begin with the version, 1.
        private static let front = """
            import socket, subprocess, sys
            def keeper():
                near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                near.settimeout(60)
                process = subprocess.Popen([sys.argv[1], 'serve-privilege', '--interface', 'lo'], stdin=far)
                far.close()
                return near, process
            start = lambda turn: bytes([1, 1, 0, 0, 0, 0, turn])
            nonsense = [b'\\1', b'\\1\\7', b'\\2\\2', start(1)[:-1], start(1) + b'x', b'\\1\\1\\2' + start(1)[3:], b'x' * 60000]
            for message in nonsense:
                near, process = keeper()
                with near, open('/dev/null') as extra: socket.send_fds(near, [message], [extra.fileno()])
                assert near.fileno() < 0 and process.wait(60) == 0, message
            # An order without a descriptor.
            near, process = keeper()
            near.send(start(1))
            assert near.recv(100) == b'' and process.wait(60) == 0
            # Five at once: the last is refused, the rest ends with its own socket.
            near, process = keeper()
            ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(5)]
            for turn, (_, far) in enumerate(ends):
                socket.send_fds(near, [start(turn)], [far.fileno()])
                far.close()
            assert near.recv(100)[:6] == bytes([1, 2, 0, 0, 0, 4])
            # A second front goes on when the first is gone.
            other, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            other.settimeout(60)
            socket.send_fds(near, [bytes([1, 2])], [far.fileno()])
            far.close()
            for end, _ in ends: end.close()
            ended = sorted(near.recv(100) for _ in range(4))
            assert ended == [bytes([1, 1, 0, 0, 0, turn, 0, 0, 0, 0]) for turn in range(4)], ended
            near.close()
            end, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            socket.send_fds(other, [start(9)], [far.fileno()])
            far.close()
            end.close()
            assert other.recv(100) == bytes([1, 1, 0, 0, 0, 9, 0, 0, 0, 0])
            other.close()
            assert process.wait(60) == 0
            print('OK')
            """

        private static func upgrade(_ host: Host) throws -> UpgradeReport {
            try ControlClient(path: host.control).upgrade(binary: nil) { _ in }
        }

        /// The keeper and the process it has started have those three capabilities, and no other.
        private static func expectNetworkAlone(_ host: Host) throws {
            for kind in ["serve-privilege", "serve-network"] {
                let processes = try host.processes(kind)
                #expect(processes.count == 1, "\(kind): \(processes)")
                for process in processes {
                    for state in try threads(of: process) {
                        for set in ["CapPrm", "CapEff", "CapBnd"] { #expect(state[set] == network, "\(kind) \(set)") }
                    }
                }
            }
        }

        /// What the kernel says of each thread of a process.
        private static func threads(of process: Int32) throws -> [[String: String]] {
            let tasks = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")
            return try tasks.map { task in
                let text = try String(contentsOfFile: "/proc/\(process)/task/\(task)/status", encoding: .utf8)
                let fields = text.split(separator: "\n").compactMap { line -> (String, String)? in
                    let parts = line.split(separator: ":", maxSplits: 1)
                    guard parts.count == 2 else { return nil }
                    return (String(parts[0]), parts[1].trimmingCharacters(in: .whitespaces))
                }
                return Dictionary(fields) { $1 }
            }
        }
    }
}
