import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// What a service manager is told, and what it gives.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ServiceTests {
    /// A datagram socket, as a service manager has.
    private final class Notifications {
        private let descriptor: Int32

        init(at path: String) throws {
            descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            guard result == 0 else { throw WireError("cannot bind \(path): \(errno)") }
        }

        deinit { close(descriptor) }

        func next() throws -> [String] {
            guard let lines = try next(within: Wire.patience) else { throw WireError("no notification came") }
            return lines
        }

        /// - Parameter patience: milliseconds.
        func next(within patience: Int32) throws -> [String]? {
            var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, patience) == 1 else { return nil }
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let count = recv(descriptor, &bytes, bytes.count, 0)
            return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: "\n").map(String.init)
        }
    }

    @Test("the service manager is told of readiness, reloads, an upgrade, and the end, always by the same main process")
    func notifications() throws {
        let files = try TemporaryFiles()
        let path = files.path("notify")
        let manager = try Notifications(at: path)
        let server = try Server([], program: ["env", "NOTIFY_SOCKET=\(path)", try BuiltProgram.path("baton")])
        #expect(try manager.next() == ["READY=1", "MAINPID=\(server.processID)"])
        server.signal(SIGHUP)
        let reloading = try manager.next()
        #expect(reloading.first == "RELOADING=1" && reloading.last?.hasPrefix("MONOTONIC_USEC=") == true)
        #expect(try manager.next() == ["READY=1", "MAINPID=\(server.processID)"])
        let report = try server.upgrade()
        #expect(report.to != server.processID)
        #expect(try manager.next() == ["READY=1", "MAINPID=\(server.processID)"])
        kill(report.to, SIGTERM)
        #expect(try manager.next() == ["STOPPING=1"])
    }

    @Test("the watchdog of the service manager hears that the server lives, as long as the front answers")
    func watchdog() throws {
        let files = try TemporaryFiles()
        let path = files.path("notify")
        let manager = try Notifications(at: path)
        let server = try Server(
            [], program: ["env", "NOTIFY_SOCKET=\(path)", "WATCHDOG_USEC=800000", try BuiltProgram.path("baton")])
        func expectSigns(_ count: Int) throws {
            var signs = 0
            while signs < count { if try manager.next() == ["WATCHDOG=1"] { signs += 1 } }
        }
        try expectSigns(6)
        try server.upgrade()
        try expectSigns(6)
        let front = try server.frontID()
        kill(front, SIGSTOP)
        // As the manager does: it waits for that long from each sign on.
        while try manager.next(within: 800) != nil {}
        kill(front, SIGCONT)
        try expectSigns(3)
    }

    @Test(
        "the unit is one that systemd takes",
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze"), "needs systemd-analyze"))
    func unit() throws {
        let files = try TemporaryFiles()
        let folder = URL(filePath: #filePath).deletingLastPathComponent().path()
        let text = try String(contentsOfFile: folder + "../../docs/baton.service", encoding: .utf8)
        let path = try files.write(
            text.replacingOccurrences(of: "/usr/local/bin/baton", with: try BuiltProgram.path("baton")),
            "baton.service")
        let verification = try PeerProcess(["systemd-analyze", "verify", path])
        try verification.expect(nil)
        // systemd before 253 keeps the type of the line before.
        let complaints = verification.text.split(separator: "\n").filter {
            $0.contains("baton.service") && !$0.contains("ignoring: notify-reload")
        }
        #expect(complaints.isEmpty, "\(verification.text)")
    }

    @Test("sockets that the service manager opened are served, by name or by address, and go on in an upgrade")
    func activation() throws {
        let files = try TemporaryFiles()
        let admin = files.path("admin.sock")
        let server = try Server(
            ["--listeners.other.address", "127.0.0.1:0", "--admin", "unix:\(admin)", "--upstream", "echo"],
            program: [
                "python3", "-c", Self.managerText, admin, "default:other:baton.socket", try BuiltProgram.path("baton"),
            ])
        let bound = try server.number(behind: "BOUND ")
        let other = try server.number(behind: "OTHER ")
        let client = try Clients.exchange(bound)
        try client.expect("STARTED")
        let curl = try PeerProcess(["curl", "-s", "--unix-socket", admin, "http://localhost/healthz"])
        try curl.expect("ok")
        if geteuid() == 0 {
            // Root may look: nothing of it reaches the processes that the server starts.
            for process in try server.status().workers.map(\.pid) {
                let environment = try Data(contentsOf: URL(fileURLWithPath: "/proc/\(process)/environ"))
                #expect(!String(decoding: environment, as: UTF8.self).contains("LISTEN_"))
            }
        }
        try server.upgrade()
        let second = try Clients.exchange(other)
        try second.expect("STARTED")
        for client in [client, second] {
            try client.endInput()
            try client.expect("WHOLE 1 of 1")
        }
    }

    @Test("a socket that belongs to no listener is an error that says so")
    func stray() throws {
        let files = try TemporaryFiles()
        let server = try PeerProcess(
            ["python3", "-c", Self.managerText, files.path("a.sock"), "default:b:c", try BuiltProgram.path("baton")]
                + ["serve", "--listen", "127.0.0.1:0", "--control", files.path("c.sock")])
        try server.expect("belongs to no listener")
    }

    /// Opens two TCP sockets and a Unix one, and becomes the program with them, as systemd does.
    private static let managerText = """
        import os, socket, sys
        path, names, program, *arguments = sys.argv[1:]
        sockets = [socket.create_server(('127.0.0.1', 0)), socket.create_server(('127.0.0.1', 0)),
            socket.create_server(path, family=socket.AF_UNIX)]
        print('BOUND', sockets[0].getsockname()[1], flush=True)
        print('OTHER', sockets[1].getsockname()[1], flush=True)
        copies = [os.dup(s.fileno()) for s in sockets]
        high = [os.fdopen(os.dup2(copy, 100 + i), 'rb', closefd=False).fileno() for i, copy in enumerate(copies)]
        for i, descriptor in enumerate(high): os.dup2(descriptor, 3 + i, inheritable=True)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='3', LISTEN_FDNAMES=names)
        os.execv(program, [program] + arguments)
        """
}
