import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// A service takes over from another one, which no upgrade of either has started.
@Suite("A service that succeeds another", .serialized, .timeLimit(.minutes(10)))
struct ServiceSuccessionTests {
    private let host: Pod.Host

    init() throws { host = try Pod.Host() }

    private static let echo = ["--listen", "127.0.0.1:0", "--upstream", "echo"]

    private func pod(
        _ arguments: [String] = [], failing fault: String? = nil, before: [String] = [], isFailure: Bool = false
    ) throws -> Pod {
        try Pod(
            on: host, Self.echo + arguments, program: try fault.map { try host.files.baton(failing: $0) },
            before: before, isFailure: isFailure || fault != nil)
    }

    @Test("the first one finds nobody and serves, and is not the first if it must not be")
    func first() throws {
        let refused = try pod(["--succeed-only"], isFailure: true)
        try refused.log("nobody is at \(host.control); leave it out for the first service")
        #expect(try refused.end() == 1)
        let first = try pod()
        try first.log("nobody is there to take over from; this service is the first")
        let second = try pod(["--succeed-only"])
        try second.log("takes over from the service that runs")
        #expect(try first.end() == 0)
    }

    @Test("connections that must go one by one go so, to a program that reads another layout")
    func parcels() throws {
        let first = try pod()
        let client = try Clients.exchange(try first.port("default"), connections: 8)
        for _ in 0..<8 { try client.expectNext("STARTED") }
        let second = try pod(failing: "arena:fail")
        try second.log("took over from another service")
        #expect(try first.end() == 0)
        try client.endInput()
        try client.expect("WHOLE 8 of 8")
        #expect(!second.logged.contains("goes on with what a worker has handed over"))
    }

    @Test(
        "a new service that fails, dies or hangs before it accepts leaves the old one as it was",
        arguments: ["prepared:fail", "prepared:crash", "ready:crash", "told:crash", "told:fail"])
    func failing(fault: String) throws {
        let first = try pod()
        let client = try Clients.exchange(try first.port("default"), connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        let before = try host.status()
        let second = try pod(failing: fault)
        #expect(try second.end() != 0)
        try first.log("the upgrade failed; this server goes on")
        let after = try host.status()
        #expect(after.front == before.front && after.workers.map(\.pid) == before.workers.map(\.pid))
        let newcomer = try Clients.exchange(try first.port("default"))
        try newcomer.expect("STARTED")
        let third = try pod()
        #expect(try first.end() == 0)
        for (client, count) in [(client, 4), (newcomer, 1)] {
            try client.endInput()
            try client.expect("WHOLE \(count) of \(count)")
        }
        withExtendedLifetime(third) {}
    }

    @Test("the main process of the new service is killed in the midst: the old one goes on, with every connection")
    func killedNew() throws {
        let first = try pod()
        let client = try Clients.exchange(try first.port("default"), connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        // Its workers have everything that is to be theirs, and wait.
        let second = try pod(failing: "told:hang")
        _ = try second.stoppedFront()
        try second.signal(SIGKILL)
        try first.log("the upgrade failed; this server goes on")
        let newcomer = try Clients.exchange(try first.port("default"))
        try newcomer.endInput()
        try newcomer.expect("WHOLE 1 of 1")
        try client.endInput()
        try client.expect("WHOLE 4 of 4")
    }

    @Test("the main process of the old service is killed in the midst: the new one serves, and nobody is refused")
    func killedOld() throws {
        let first = try pod()
        let port = try first.port("default")
        let client = try Clients.exchange(port, connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        let second = try pod(failing: "told:hang")
        let front = try second.stoppedFront()
        try first.signal(SIGKILL)
        kill(front, SIGCONT)
        try second.log("] serving")
        let newcomer = try Clients.exchange(port)
        try newcomer.expect("STARTED")
        // What had not been handed over is the old workers' to its end.
        for (client, count) in [(client, 4), (newcomer, 1)] {
            try client.endInput()
            try client.expect("WHOLE \(count) of \(count)")
        }
    }

    @Test("the old service's front dies in the midst: the old service goes on with another, and the new one ends")
    func frontDies() throws {
        let first = try pod()
        let client = try Clients.exchange(try first.port("default"), connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        let second = try pod(failing: "told:hang")
        _ = try second.stoppedFront()
        kill(try first.child("serve-front"), SIGKILL)
        try second.log("the running service goes on, and this one ends")
        #expect(try second.end() == 1)
        let newcomer = try Clients.exchange(try first.port("default"))
        try newcomer.expect("STARTED")
        for (client, count) in [(client, 4), (newcomer, 1)] {
            try client.endInput()
            try client.expect("WHOLE \(count) of \(count)")
        }
    }

    @Test("an old service that is told to stop while another takes over hands over all the same")
    func stoppedMeanwhile() throws {
        let first = try pod()
        let client = try Clients.exchange(try first.port("default"), connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        let second = try pod(failing: "told:hang")
        let front = try second.stoppedFront()
        try first.signal(SIGTERM)
        try first.log("told to stop: this service ends as soon as the one that succeeds it has everything")
        kill(front, SIGCONT)
        #expect(try first.end() == 0)
        try client.endInput()
        try client.expect("WHOLE 4 of 4")
        #expect(try host.status().workers.allSatisfy { $0.state == "ready" })
    }

    @Test("one that stays when it has been succeeded has nothing open, and ends when it is told to")
    func stays() throws {
        let first = try pod(["--succeed-stay"])
        let service = try first.service
        let second = try pod(["--succeed-stay"])
        try first.log("succeeded by another service; this one ends")
        // Foundation gives each child a socket by which it sees its end.
        try ProcessFacts.wait {
            let open = try ProcessFacts.descriptors(of: service)
            return try ProcessFacts.children(of: service).isEmpty
                && open.count { $0.contains("socket:") } <= 1 && !open.contains { $0.contains("memfd") }
        } else: {
            "\((try? ProcessFacts.descriptors(of: service)) ?? [])"
        }
        #expect(first.isRunning)
        try first.signal(SIGTERM)
        #expect(try first.end() == 0)
        // It stays so through an upgrade of its own.
        _ = try ControlClient(path: host.control).upgrade(binary: nil) { _ in }
        let third = try pod()
        try second.log("succeeded by another service; this one ends")
        #expect(second.isRunning)
        try second.signal(SIGTERM)
        #expect(try second.end() == 0)
        withExtendedLifetime(third) {}
    }

    // MARK: Refusals

    /// The new one ends with these words, and the old one serves as before.
    private func expectRefusal(_ words: String, _ first: Pod, _ newcomer: Pod) throws {
        try newcomer.log(words)
        #expect(try newcomer.end() == 1)
        let client = try Clients.exchange(try first.port("default"))
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test("while an upgrade is under way another service is refused")
    func upgrading() throws {
        let first = try pod()
        let binary = try host.files.baton(failing: "prepared:hang")
        let control = host.control
        let upgrade = Thread { _ = try? ControlClient(path: control).upgrade(binary: binary) { _ in } }
        upgrade.start()
        try first.log("a new server starts")
        let newcomer = try pod(isFailure: true)
        try newcomer.log("the running service goes on: the server is being replaced or stopped already")
        #expect(try newcomer.end() == 1)
        #expect(first.isRunning)
    }

    @Test("one whose listeners cannot be opened ends, and the old one goes on")
    func listeners() throws {
        let first = try pod()
        let other = try Clients.upstream()
        try expectRefusal(
            "127.0.0.1:\(other.port)", first,
            try pod(["--listeners.other.address", "127.0.0.1:\(other.port)"], isFailure: true))
        try first.log("the upgrade failed; this server goes on")
        withExtendedLifetime(other.process) {}
    }

    @Test("a service of another user is refused, root's too", .enabled(if: geteuid() == 0))
    func otherUser() throws {
        let owner = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        for folder in ["", "shared"] { chown(host.files.path(folder), 65534, 65534) }
        // Where every user can execute it.
        let program = host.files.path("program")
        try FileManager.default.copyItem(atPath: try BuiltProgram.path("baton"), toPath: program)
        let first = try Pod(on: host, Self.echo, program: program, before: owner)
        try expectRefusal(
            "the service there runs as user 65534, and this one as 0; run both as the same user", first,
            try pod(isFailure: true))
        chmod(host.files.path(""), 0o755)
        chmod(host.files.path("shared"), 0o777)
        let stranger = ["setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups"]
        try expectRefusal(
            "this user may not use it; run as its owner", first,
            try Pod(on: host, Self.echo, program: program, before: stranger, isFailure: true))
    }

    @Test("a control socket that is two is refused before anything is asked")
    func contradiction() throws {
        let first = try pod()
        try expectRefusal(
            "are two; leave --control out, or give both the same path", first,
            try pod(["--control", host.files.path("other.sock")], isFailure: true))
    }
}

/// Each service in a PID and a mount namespace of its own, with one directory in common.
@Suite(
    "Services in containers that succeed each other", .serialized, .timeLimit(.minutes(10)),
    .enabled(if: geteuid() == 0))
struct ContainerSuccessionTests {
    /// What the pods serve: relays, an echo, the page, and a listener without TLS. The certificate is each pod's own.
    private static func configuration(crowd: BusyCrowd, relays: RelayCrowd) -> String {
        """
        workers: 2
        certificates: {main: {chain: CERT, key: KEY}}
        listeners:
          relay: {address: "127.0.0.1:0"}
          echo: {address: "127.0.0.1:0"}
          page: {address: "127.0.0.1:0"}
          plain: {address: "127.0.0.1:0", tls: false}
        upstreams:
          crowd: {addresses: ["127.0.0.1:\(crowd.port)"]}
          relays: {addresses: ["127.0.0.1:\(relays.upstreamPort)"]}
        routes:
          relay: {listeners: [relay], target: crowd}
          echo: {listeners: [echo], target: echo}
          page: {listeners: [page], target: hello}
          plain: {listeners: [plain], target: relays}
        limits: {handshake-time: 5m}
        """
    }

    @Test("three in a row: no connection is cut, none is refused, and each has its own files")
    func chain() throws {
        let host = try Pod.Host(isDivided: true)
        let crowd = try BusyCrowd(.plain, count: 40, rate: 10, files: host.files)
        let echo = try BusyCrowd(.echo, count: 20, rate: 10, files: host.files)
        let relays = try RelayCrowd(count: 50)
        let text = Self.configuration(crowd: crowd, relays: relays)
        func pod(_ number: Int) throws -> Pod {
            let kind = number == 2 ? "p256" : "rsa"
            let credentials = try Credentials.shared.write(kind, in: host.files)
            return try Pod(
                on: host, ["--config", "OWN/baton.yaml"],
                own: [
                    "baton.yaml": text.replacingOccurrences(of: "CERT", with: "/mnt/own/cert.pem")
                        .replacingOccurrences(of: "KEY", with: "/mnt/own/key.pem"),
                    "cert.pem": try String(contentsOfFile: credentials.certificate, encoding: .utf8),
                    "key.pem": try String(contentsOfFile: credentials.key, encoding: .utf8),
                ])
        }
        var last = try pod(1)
        try crowd.connect(port: try last.port("relay"))
        try echo.connect(port: try last.port("echo"))
        try relays.connect(port: try last.port("plain"))
        let page = try PageCrowd(count: 10, port: try last.port("page"), version: "TLSv1_3")
        let callers = try PeerProcess(["python3", "-c", Self.callersText, "\(try last.port("echo"))"])
        try callers.expectNext("CALLED")
        let port = try last.port("echo")
        for number in 2...3 {
            let next = try pod(number)
            try next.log("took over from another service")
            #expect(try last.end() == 0)
            #expect(last.logged.contains("succeeded by another service; this one ends"))
            last = next
            try crowd.pass()
            try echo.pass()
            try page.pass()
            #expect(try relays.check() == 50)
            try callers.expectNext("CALLED")
            let facts = try PeerProcess([
                "sh", "-c",
                "openssl s_client -connect 127.0.0.1:\(port) </dev/null 2>/dev/null | grep 'Peer signature type'",
            ])
            try facts.expect(number == 2 ? "ECDSA" : "RSA")
            // Sessions have come with their memory: nothing else keeps the order of all that is under way.
            try next.log("goes on with what a worker has handed over")
            // Commands are answered by the new one.
            #expect(try ControlClient(path: host.control).reload().listeners == 4)
        }
        _ = try ControlClient(path: host.control).upgrade(binary: nil) { _ in }
        try crowd.pass()
        try callers.endInput()
        try callers.expect("REFUSED 0")
        try crowd.end()
        try echo.end()
        try page.end()
        try relays.end()
    }

    /// Clients that come and go: each connects, exchanges a line and leaves.
    private static let callersText = """
        import select, socket, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        refused = called = 0
        while not select.select([sys.stdin], [], [], 0.02)[0]:
            try:
                with socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60) as plain:
                    with context.wrap_socket(plain) as s:
                        s.sendall(b'hello')
                        got = b''
                        while len(got) < 5:
                            piece = s.recv(5)
                            if not piece: raise EOFError('closed')
                            got += piece
            except Exception as error:
                refused += 1
                print('FAILED', repr(error), flush=True)
            called += 1
            if called % 20 == 1: print('CALLED', called, flush=True)
        print('REFUSED', refused, flush=True)
        """
}
