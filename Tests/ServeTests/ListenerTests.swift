import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// Where a server listens, what becomes of that when its configuration changes, and what happens when more connect than it
/// can take. What is said of sockets is what the kernel says.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ListenerTests {
    // MARK: The queue

    @Test("as many connections may wait as is configured, at the start, after a reload and after upgrades")
    func backlog() throws {
        let files = try TemporaryFiles()
        func text(_ backlog: Int) -> String {
            "backlog: \(backlog)\nlisteners: {default: {address: '127.0.0.1:0'}}\nroutes: {r: {target: echo}}\n"
        }
        let path = try files.write(text(300), "baton.yaml")
        let server = try Server(["--config", path], workers: 1)
        #expect(try Self.queue(of: server.port) == 300)
        try server.upgrade()
        #expect(try Self.queue(of: server.port) == 300)
        _ = try files.write(text(200), "baton.yaml")
        try server.reload()
        #expect(try Self.queue(of: server.port) == 200)
        let standard = try Server([], workers: 1)
        let most = try #require(
            Int(
                String(contentsOfFile: "/proc/sys/net/core/somaxconn", encoding: .utf8)
                    .trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(try Self.queue(of: standard.port) == min(4_096, most))
        let greedy = try Server(["--backlog", "\(most + 1)"], workers: 1)
        try greedy.log("the kernel cuts \(most + 1) to \(most)")
    }

    @Test("a socket that the service manager opened gets the configured queue, too")
    func activatedBacklog() throws {
        let server = try Server(
            ["--backlog", "300", "--upstream", "echo"], workers: 1,
            program: [
                "python3", "-c", Self.managerText, "default", "127.0.0.1", try BuiltProgram.path("baton"),
            ])
        #expect(try Self.queue(of: server.port) == 300)
        try server.upgrade()
        #expect(try Self.queue(of: server.port) == 300)
    }

    @Test("several sockets of one name from the service manager are all served, also after an upgrade")
    func severalActivated() throws {
        let server = try Server(
            ["--upstream", "echo"], workers: 1,
            program: [
                "python3", "-c", Self.managerText, "default:default", "127.0.0.1 127.0.0.2",
                try BuiltProgram.path("baton"),
            ])
        let ports = [try server.number(behind: "BOUND0 "), try server.number(behind: "BOUND1 ")]
        for round in 0..<2 {
            if round == 1 { try server.upgrade() }
            #expect(try Self.serves("127.0.0.1", ports[0]))
            #expect(try Self.serves("127.0.0.2", ports[1]))
        }
    }

    // MARK: Limits

    @Test("who comes when the limit is reached is closed at once, holds no descriptor, and is counted")
    func limitHoldsDescriptors() throws {
        let server = try Server(["--upstream", "echo", "--limits.connections", "10"], workers: 1)
        var crowd: PeerProcess? = try PeerProcess(["python3", "-c", Self.crowdText, "\(server.port)", "300"])
        // The clients keep their ends open.
        try crowd?.expect("290 CLOSED")
        let front = try server.frontID()
        #expect(try Self.sockets(of: front, at: server.port) <= 11)
        let report = try server.status()
        #expect((report.refused?["connections"] ?? 0) >= 290)
        #expect(report.table.contains("refused: "))
        try server.log("limits.connections is reached")
        crowd = nil
        try server.upgrade()
        #expect((try server.status().refused?["connections"] ?? 0) >= 290)
    }

    @Test("out of descriptors the server waits, says so once, answers its commands, and comes back")
    func descriptors() throws {
        let files = try TemporaryFiles()
        let admin = files.path("admin.sock")
        let server = try Server(
            ["--upstream", "echo", "--admin", "unix:\(admin)", "--limits.handshake-time", "5m"], workers: 1,
            program: ["prlimit", "--nofile=64:64", try BuiltProgram.path("baton")])
        let front = try server.frontID()
        let crowd = try PeerProcess(["python3", "-c", Self.holdingText, "\(server.port)", "100"])
        try crowd.expect("CONNECTED 100")
        try server.log("connections wait, because descriptors or memory are missing")
        let before = try Self.processorTime(of: front)
        for _ in 0..<3 {
            #expect(try server.status().isShort == true)
            let curl = try PeerProcess(["curl", "-s", "--unix-socket", admin, "http://localhost/healthz"])
            try curl.expect("ok")
        }
        // It does nothing meanwhile: a loop that spins would take all of its processor's time.
        _ = poll(nil, 0, 2_000)
        #expect(try Self.processorTime(of: front) - before < 1.0)
        try crowd.endInput()
        try crowd.expect("LEFT")
        #expect(try Self.serves("127.0.0.1", server.port))
        try server.log("connections are accepted again")
        let told = server.logged.components(separatedBy: "descriptors or memory are missing").count - 1
        #expect(told == 1, "\(server.logged)")
        #expect(try server.status().isShort == false)
    }

    @Test("baton check and the start say when the limit of descriptors cannot hold the limit of connections")
    func capacity() throws {
        let files = try TemporaryFiles()
        let path = try files.write(
            "control: \(files.path("c.sock"))\nlisteners: {a: {address: '127.0.0.1:0'}}\nworkers: 2\n"
                + "upstreams: {u: {addresses: '127.0.0.1:1'}}\nlimits: {connections: 1000}\n", "baton.yaml")
        func check(_ most: Int) throws -> String {
            let baton = try PeerProcess(
                ["prlimit", "--nofile=\(most):\(most)", try BuiltProgram.path("baton"), "check", "--config", path])
            try baton.expect(nil)
            return baton.text
        }
        #expect(try check(1_000).contains("1000 need 1128 descriptors in each of 2 workers"))
        #expect(try check(1_000).contains("is good"))
        // The main process has both sockets of every relay, whichever worker serves it.
        #expect(try check(1_200).contains("1000 need 2170 descriptors in the main process"))
        #expect(try !check(1_200).contains("in each of"))
        #expect(try check(2_169).contains("2170 descriptors"))
        #expect(try !check(2_170).contains("warning"))
        let server = try Server(
            ["--upstream", "127.0.0.1:1", "--limits.connections", "1000"],
            program: ["prlimit", "--nofile=1000:1000", try BuiltProgram.path("baton")])
        try server.log("RLIMIT_NOFILE allows 1000")
    }

    // MARK: Changes

    struct Change: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var before: [(String, String)]
        var after: [(String, String)]
        /// Whether an address answers then.
        var served: [(String, Int, Bool)]
    }

    static let changes: [Change] = [
        Change(
            testDescription: "renamed", before: [("web", "127.0.0.1:P")], after: [("https", "127.0.0.1:P")],
            served: [("127.0.0.1", 0, true)]),
        Change(
            testDescription: "narrowed from every address", before: [("web", ":P")], after: [("web", "127.0.0.1:P")],
            served: [("127.0.0.1", 0, true), ("127.0.0.2", 0, false), ("::1", 0, false)]),
        Change(
            testDescription: "narrowed from 0.0.0.0 under another name", before: [("web", "0.0.0.0:P")],
            after: [("x", "127.0.0.2:P")], served: [("127.0.0.1", 0, false), ("127.0.0.2", 0, true)]),
        Change(
            testDescription: "widened", before: [("web", "127.0.0.1:P")], after: [("web", ":P")],
            served: [("127.0.0.1", 0, true), ("::1", 0, true)]),
        Change(
            testDescription: "one becomes two", before: [("web", ":P")],
            after: [("a", "127.0.0.1:P"), ("b", "[::1]:P")],
            served: [("127.0.0.1", 0, true), ("::1", 0, true), ("127.0.0.2", 0, false)]),
        Change(
            testDescription: "two become one", before: [("a", "127.0.0.1:P"), ("b", "127.0.0.2:P")],
            after: [("a", "0.0.0.0:P")], served: [("127.0.0.1", 0, true), ("127.0.0.2", 0, true)]),
        Change(
            testDescription: "of both families, and of IPv4 alone", before: [("web", ":P")],
            after: [("web", "0.0.0.0:P")], served: [("127.0.0.1", 0, true), ("::1", 0, false)]),
        Change(
            testDescription: "swapped", before: [("a", "127.0.0.1:P"), ("b", "127.0.0.1:Q")],
            after: [("a", "127.0.0.1:Q"), ("b", "127.0.0.1:P")],
            served: [("127.0.0.1", 0, true), ("127.0.0.1", 1, true)]),
        Change(
            testDescription: "one goes, another comes", before: [("a", "127.0.0.1:P")], after: [("b", "127.0.0.1:Q")],
            served: [("127.0.0.1", 0, false), ("127.0.0.1", 1, true)]),
    ]

    @Test("listeners may change in any way, by a reload as by an upgrade", arguments: changes, [false, true])
    func change(_ change: Change, upgrades: Bool) throws {
        let files = try TemporaryFiles()
        let ports = [Int(try Wire.freePort()), Int(try Wire.freePort())]
        func text(_ listeners: [(String, String)]) -> String {
            let lines = listeners.map { name, address in
                let address = address.replacingOccurrences(of: "P", with: "\(ports[0])")
                    .replacingOccurrences(of: "Q", with: "\(ports[1])")
                return "  \(name): {address: '\(address)', tls: false}\n"
            }
            return "listeners:\n" + lines.joined() + "routes: {r: {target: echo}}\n"
        }
        let path = try files.write(text(change.before), "baton.yaml")
        let server = try Server(["--config", path], workers: 1, hasPort: false)
        let first = try #require(change.before.first).1.hasPrefix("127.0.0.2") ? "127.0.0.2" : "127.0.0.1"
        #expect(try Self.serves(first, ports[0], plain: true))
        // Whoever connects meanwhile is served or, where nobody listens any more, refused; nobody is kept waiting.
        let steady = change.served.first { $0.2 && $0.1 == 0 }.map(\.0)
        let visitor = try steady.flatMap { host in
            first == host
                ? try PeerProcess(["python3", "-c", Self.visitorText, host, "\(ports[0])"]) : nil
        }
        try visitor?.expect("FIRST")
        _ = try files.write(text(change.after), "baton.yaml")
        if upgrades { try server.upgrade() } else { try server.reload() }
        for (host, port, isServed) in change.served {
            #expect(try Self.serves(host, ports[port], plain: true) == isServed, "\(host) \(port) \(server.logged)")
        }
        try visitor?.endInput()
        try visitor?.expect("FAILED 0")
        #expect(!server.logged.contains("error baton"), "\(server.logged)")
        // And back.
        _ = try files.write(text(change.before), "baton.yaml")
        if upgrades { try server.upgrade() } else { try server.reload() }
        #expect(try Self.serves(first, ports[0], plain: true))
        let shared = try PeerProcess(["ss", "-Hltn", "sport = :\(ports[0])"])
        try shared.expect(nil)
        #expect(
            shared.text.split(separator: "\n").count == change.before.count { $0.1.hasSuffix("P") }, "\(shared.text)")
    }

    @Test("a listener and the admin address may change places, and each connection reaches what its address is now")
    func adminChangesPlaces() throws {
        let files = try TemporaryFiles()
        let ports = [Int(try Wire.freePort()), Int(try Wire.freePort())]
        func write(_ listener: Int, _ admin: Int) throws -> String {
            try files.write(
                "listeners: {web: {address: '127.0.0.1:\(listener)', tls: false}}\nadmin: '127.0.0.1:\(admin)'\n"
                    + "routes: {r: {target: echo}}\n", "baton.yaml")
        }
        let server = try Server(["--config", try write(ports[0], ports[1])], workers: 1, hasPort: false)
        for (listener, admin) in [(ports[1], ports[0]), (ports[0], ports[1])] {
            _ = try write(listener, admin)
            try server.reload()
            // Two that accepted at one socket would have some each.
            let client = try PeerProcess(["python3", "-c", Self.placesText, "\(listener)", "\(admin)", "50"])
            try client.expect("ALL RIGHT")
        }
    }

    @Test("what another process has is not taken, and the configuration stays as it was")
    func foreign() throws {
        let files = try TemporaryFiles()
        let (other, taken) = try Wire.listen()
        let port = Int(try Wire.freePort())
        func text(_ addresses: [String]) -> String {
            "listeners:\n"
                + addresses.enumerated().map { "  l\($0.offset): {address: '\($0.element)', tls: false}\n" }
                .joined() + "routes: {r: {target: echo}}\n"
        }
        let path = try files.write(text(["127.0.0.1:\(port)"]), "baton.yaml")
        let server = try Server(["--config", path], workers: 1, hasPort: false)
        _ = try files.write(text([":\(port)", "127.0.0.1:\(taken)"]), "baton.yaml")
        try server.reload(expecting: "another process has it")
        #expect(throws: (any Error).self) { try server.upgrade() }
        #expect(try Self.serves("127.0.0.1", port, plain: true))
        #expect(try !Self.serves("127.0.0.2", port, plain: true))
        withExtendedLifetime(other) {}
    }

    @Test(
        "two that listen at one address are refused by baton check",
        arguments: [
            (":443", "127.0.0.1:443", true), ("0.0.0.0:443", "127.0.0.1:443", true),
            ("[::]:443", "[::1]:443", true), ("[::]:443", "0.0.0.0:443", false),
            ("127.0.0.1:443", "[::ffff:127.0.0.1]:443", true), ("127.0.0.1:0", "127.0.0.1:0", false),
            ("unix:/tmp/a", "unix:/tmp/a", true), ("127.0.0.1:443", "127.0.0.2:443", false),
        ])
    func overlap(first: String, second: String, isRefused: Bool) throws {
        let files = try TemporaryFiles()
        for isAdmin in [false, true] {
            let path = try files.write(
                "control: \(files.path("c.sock"))\nlisteners:\n  a: {address: '\(first)'}\n"
                    + (isAdmin ? "admin: '\(second)'\n" : "  b: {address: '\(second)'}\n"), "baton.yaml")
            let check = try PeerProcess([try BuiltProgram.path("baton"), "check", "--config", path])
            try check.expect(nil)
            #expect(check.text.contains("taken by listeners.a") == isRefused, "\(check.text)")
        }
    }

    @Test("a port that the kernel chose stays with its listener")
    func chosenPorts() throws {
        let server = try Server(
            ["--listeners.other.address", "127.0.0.1:0", "--listeners.other.tls", "false", "--upstream", "echo"],
            workers: 1)
        let other = try server.port("other")
        for _ in 0..<2 {
            try server.upgrade()
            #expect(try Self.serves("127.0.0.1", server.port))
            #expect(try Self.serves("127.0.0.1", other, plain: true))
        }
    }

    @Test(
        "a socket that was bound before the server gave up its privileges gives way, too", .enabled(if: geteuid() == 0))
    func afterPrivileges() throws {
        let files = try TemporaryFiles()
        let port = Int(try Wire.freePort())
        func text(_ address: String) -> String {
            "user: nobody\nlisteners: {web: {address: '\(address)', tls: false}}\nroutes: {r: {target: echo}}\n"
        }
        let path = try files.write(text(":\(port)"), "baton.yaml")
        for name in [files.path(""), path] { try #require(chmod(name, 0o755) == 0) }
        // The user must be able to run the program, wherever it was built.
        let program = files.path("baton")
        try FileManager.default.copyItem(atPath: try BuiltProgram.path("baton"), toPath: program)
        let folder = files.path("run")
        let server = try Server(
            ["--config", path], workers: 1, control: folder + "/c.sock", program: [program], hasPort: false)
        for (address, isEverywhere) in [("127.0.0.1:\(port)", false), (":\(port)", true)] {
            _ = try files.write(text(address), "baton.yaml")
            try #require(chmod(path, 0o644) == 0)
            try server.reload()
            #expect(try Self.serves("127.0.0.1", port, plain: true))
            #expect(try Self.serves("127.0.0.2", port, plain: true) == isEverywhere)
        }
    }

    // MARK: Names and zones

    @Test("every address that a name leads to is listened at", .enabled(if: geteuid() == 0))
    func names() throws {
        let files = try TemporaryFiles()
        let hosts = try files.write("127.0.0.1 both_ways\n::1 both_ways\n127.0.0.3 both_ways\n", "hosts")
        let server = try Server(
            ["--listen", "both_ways:0", "--upstream", "echo"], workers: 1,
            program: [
                "unshare", "-m", "sh", "-c", "mount --bind \(hosts) /etc/hosts; exec \"$@\"", "sh",
                try BuiltProgram.path("baton"),
            ])
        for round in 0..<2 {
            if round == 1 { try server.upgrade() }
            for host in ["127.0.0.1", "::1", "127.0.0.3"] { #expect(try Self.serves(host, server.port), "\(host)") }
        }
    }

    @Test("an address has the zone of an interface", .enabled(if: geteuid() == 0))
    func zones() throws {
        let script = """
            ip link add zone0 type veth peer name zone1 && ip link set zone0 up && ip link set zone1 up && ip link set lo up
            ip -6 addr add fe80::1/64 dev zone0 nodad
            exec "$@"
            """
        let files = try TemporaryFiles()
        let control = files.path("c.sock")
        let server = try PeerProcess(
            ["unshare", "-n", "sh", "-c", script, "sh", try BuiltProgram.path("baton"), "serve", "--control", control]
                + ["--listen", "[fe80::1%zone0]:4443", "--listeners.default.tls", "false", "--upstream", "echo"]
                + ["--workers", "1"])
        try server.expect("address=[fe80::1%zone0]:4443")
        try server.expect("] serving")
        let client = try PeerProcess(
            ["nsenter", "-t", "\(server.processID)", "-n", "python3", "-c"]
                + [
                    "import socket\ns = socket.create_connection(('fe80::1%zone0', 4443), 30); s.sendall(b'zone'); print(s.recv(4))"
                ])
        try client.expect("b'zone'")
        kill(server.processID, SIGTERM)
        try server.expect(nil)
    }

    // MARK: Unix sockets

    @Test(
        "a Unix listener serves, with whatever options TCP ones have, before and after upgrades and moves",
        arguments: [
            ["--listeners.default.tls", "false"],
            ["--listeners.default.tls", "false", "--listeners.default.keepalive-idle", "10s"],
            ["--listeners.default.tls", "false", "--limits.connections-per-source", "1"],
            ["--listeners.default.tls", "false", "--listeners.default.proxy-protocol", "v1"],
            [],
        ])
    func unix(options: [String]) throws {
        let files = try TemporaryFiles()
        let path = files.path("l.sock")
        let server = try Server(
            ["--listen", "unix:\(path)", "--upstream", "echo", "--move-every", "1"] + options, hasPort: false)
        let isPlain = options.contains("--listeners.default.tls")
        let header = options.contains("v1") ? "PROXY UNKNOWN\r\n" : ""
        let clients = try (0..<2).map { _ in
            try PeerProcess(["python3", "-c", Self.unixText, path, isPlain ? "plain" : "tls", header])
        }
        for (index, client) in clients.enumerated() {
            for round in 0..<4 {
                if round == 2, index == 1 { try server.upgrade() }
                try client.send("go\n")
                try client.expect("ROUND \(round)")
            }
        }
    }

    @Test("a Unix listener goes on in a change, its file goes with the server, and no other file is ever removed")
    func unixFiles() throws {
        let files = try TemporaryFiles()
        let path = files.path("l.sock")
        func text(_ name: String) -> String {
            "listeners: {\(name): {address: 'unix:\(path)', tls: false}}\nroutes: {r: {target: echo}}\n"
        }
        let configuration = try files.write(text("a"), "baton.yaml")
        let server = try Server(["--config", configuration], workers: 1, hasPort: false)
        func serves() throws -> Bool {
            let client = try PeerProcess(["python3", "-c", Self.unixText, path, "plain", ""])
            try client.send("go\n")
            try client.endInput()
            try client.expect(nil)
            return client.text.contains("ROUND 0")
        }
        #expect(try serves())
        _ = try files.write(text("b"), "baton.yaml")
        try server.reload()
        #expect(try serves())
        // Somebody has removed the file: the next reload makes another.
        unlink(path)
        try server.reload()
        #expect(try serves())
        try server.upgrade()
        #expect(try serves())
        let last = try server.status().pid
        kill(last, SIGTERM)
        try server.end()
        #expect(!FileManager.default.fileExists(atPath: path))
        _ = try files.write("precious", "l.sock")
        let second = try PeerProcess(
            [try BuiltProgram.path("baton"), "serve", "--config", configuration, "--control", files.path("c.sock")])
        try second.expect("is a file that is no socket")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }

    @Test("the control path is taken only from a dead socket, never from a file or a link")
    func controlFiles() throws {
        let files = try TemporaryFiles()
        let baton = try BuiltProgram.path("baton")
        func start(_ path: String) throws -> PeerProcess {
            try PeerProcess([baton, "serve", "--listen", "127.0.0.1:0", "--workers", "1", "--control", path])
        }
        let file = try files.write("precious", "precious")
        symlink(file, files.path("link"))
        for path in [file, files.path("link")] {
            let server = try start(path)
            try server.expect("is a file that is no socket")
            try server.expect(nil)
            #expect(try String(contentsOfFile: file, encoding: .utf8) == "precious")
        }
        let lock = try files.write("precious", "d.lock")
        let locked = try start(files.path("d"))
        try locked.expect("is a file that is no lock")
        try locked.expect(nil)
        #expect(try String(contentsOfFile: lock, encoding: .utf8) == "precious")
        // A socket whose process is gone.
        let dead = files.path("dead")
        let maker = try PeerProcess(
            ["python3", "-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", dead])
        try maker.expect(nil)
        let server = try start(dead)
        try server.expect("] serving")
        kill(server.processID, SIGTERM)
        try server.expect(nil)
        #expect(!FileManager.default.fileExists(atPath: dead))
    }

    // MARK: Programs

    private static func serves(_ host: String, _ port: Int, plain: Bool = false) throws -> Bool {
        let client = try PeerProcess(["python3", "-c", clientText, host, "\(port)", plain ? "plain" : "tls"])
        try client.expect(nil)
        return client.text.contains("SERVED")
    }

    /// The longest queue that the kernel allows the socket at that port.
    private static func queue(of port: Int) throws -> Int {
        let ss = try PeerProcess(["ss", "-Hltn", "sport = :\(port)"])
        try ss.expect(nil)
        return try #require(ss.text.split(separator: " ").dropFirst(2).first.flatMap { Int($0) }, "\(ss.text)")
    }

    /// The connected sockets of a process whose own end is at `port`.
    private static func sockets(of process: Int32, at port: Int) throws -> Int {
        let ss = try PeerProcess(["ss", "-Htnpa", "sport = :\(port)"])
        try ss.expect(nil)
        return ss.text.split(separator: "\n").count { $0.contains("pid=\(process),") }
    }

    /// Seconds of processor time.
    private static func processorTime(of process: Int32) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        return (Double(fields[12]) ?? 0) / 100 + (Double(fields[13]) ?? 0) / 100
    }

    private static let clientText = """
        import socket, ssl, sys
        try:
            s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
            if sys.argv[3] == 'tls':
                context = ssl.create_default_context()
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                s = context.wrap_socket(s)
            s.sendall(b'ping')
            print('SERVED' if s.recv(4) == b'ping' else 'CLOSED')
        except OSError as error:
            print(error)
        """

    /// Asks a listener for its echo and the admin address for its health, in turn.
    private static let placesText = """
        import socket, sys
        request = b'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n'
        listener, admin, rounds = map(int, sys.argv[1:])
        for number in range(rounds):
            for port, answer in (listener, request), (admin, b'HTTP/1.1 200'):
                with socket.create_connection(('127.0.0.1', port), 20) as s:
                    s.settimeout(20)
                    s.sendall(request)
                    got = s.recv(4096)
                    if not got.startswith(answer): sys.exit('%d: %d answers %r' % (number, port, got))
        print('ALL RIGHT', flush=True)
        """

    /// Connects again and again until its standard input ends, and counts what did not go well.
    private static let visitorText = """
        import select, socket, sys
        rounds = failed = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            try:
                with socket.create_connection((sys.argv[1], int(sys.argv[2])), 30) as s:
                    s.sendall(b'ping')
                    if s.recv(4) != b'ping': raise OSError('closed')
            except OSError as error:
                failed += 1
                print(error, flush=True)
            rounds += 1
            if rounds == 1: print('FIRST', flush=True)
        print('FAILED', failed, 'of', rounds, flush=True)
        """

    /// Connects, and counts who is closed; holds its own ends.
    private static let crowdText = """
        import select, socket, sys
        port, count = int(sys.argv[1]), int(sys.argv[2])
        ends = [socket.create_connection(('127.0.0.1', port), 60) for _ in range(count)]
        closed, poller = 0, select.poll()
        for s in ends: poller.register(s, select.POLLIN)
        names = {s.fileno(): s for s in ends}
        while closed < count:
            for descriptor, _ in poller.poll(60000):
                poller.unregister(descriptor)
                closed += 1
                print(closed, 'CLOSED', flush=True)
        """

    private static let holdingText = """
        import socket, sys
        ends = [socket.create_connection(('127.0.0.1', int(sys.argv[1])), 60) for _ in range(int(sys.argv[2]))]
        print('CONNECTED', len(ends), flush=True)
        sys.stdin.read()
        for s in ends: s.close()
        print('LEFT', flush=True)
        """

    private static let unixText = """
        import socket, ssl, sys
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60)
        s.connect(sys.argv[1])
        if sys.argv[3]: s.sendall(sys.argv[3].encode())
        if sys.argv[2] == 'tls':
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            s = context.wrap_socket(s)
        for number, line in enumerate(sys.stdin):
            for _ in range(5):
                s.sendall(b'ping')
                if s.recv(4) != b'ping': sys.exit('CLOSED')
            print('ROUND', number, flush=True)
        """

    /// Opens TCP sockets with a short queue, and becomes the program with them, as a service manager does.
    private static let managerText = """
        import os, socket, sys
        names, hosts, program, *arguments = sys.argv[1:]
        sockets = [socket.create_server((host, 0), backlog=5) for host in hosts.split()]
        for i, s in enumerate(sockets): print('BOUND%d' % i, s.getsockname()[1], flush=True)
        copies = [os.dup(s.fileno()) for s in sockets]
        high = [os.dup2(copy, 100 + i) for i, copy in enumerate(copies)]
        for i, descriptor in enumerate(high): os.dup2(descriptor, 3 + i, inheritable=True)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=names)
        os.execv(program, [program] + arguments)
        """
}
