import Foundation
import HostLab
import HostMigration
import SelfSigned
import StockPeers
import TLSHandshake
import Testing

@testable import BatonHosts

/// `Examples/TwoHosts` on both hosts of a lab. Without root every one of these is reported as skipped.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: Lab.obstacle == nil, "needs root, CAP_NET_ADMIN and /dev/net/tun"))
struct TwoHostsTests {
    private static let lab = Lab("t")
    private static let service = "192.0.2.100"

    @Test("every line of busy clients is numbered right while all connections move there and back; none is reset")
    func thereAndBack() async throws {
        let hosts = try await Hosts()
        let clients = try Clients(40)
        var before = try await Self.resets()
        for (here, there) in [(hosts.a, hosts.b), (hosts.b, hosts.a)] {
            try here.process.send("move\n")
            try here.process.expect("moved 40 connections to \(there.name) in")
            try here.process.expect("0 remain, 0 in doubt, the address has moved\n")
            #expect(try here.connections() == 0)
            #expect(try there.connections() == 40)
            #expect(try clients.turn() == ["40 \(there.name)"])
            #expect(try await Self.answers(there))
            #expect(try await !Self.answers(here))
            #expect(try await Self.resets() == before)
            // Whoever comes now is served by the same host.
            try Self.visit(there)
            try there.awaitConnections(40)
            before = try await Self.resets()
        }
        try clients.stop()
    }

    @Test("what the other host has no room for stays, and is served although the address has moved")
    func noRoom() async throws {
        let hosts = try await Hosts(optionsOfB: ["--room", "15"])
        let clients = try Clients(40)
        try hosts.a.process.send("move\n")
        try hosts.a.process.expect("25 stayed: the receiving host has as many connections as it takes")
        try hosts.a.process.expect("moved 15 connections to b.example in")
        try hosts.a.process.expect("25 remain, 0 in doubt, the address has moved\n")
        #expect(try hosts.a.connections() == 25)
        #expect(try hosts.b.connections() == 15)
        #expect(try clients.turn() == ["15 b.example", "25 a.example"])
        try hosts.b.process.send("move\n")
        try hosts.b.process.expect("moved 15 connections to a.example in")
        #expect(try clients.turn() == ["40 a.example"])
        try clients.stop()
    }

    @Test("a peer whose urgent data nobody reads holds up neither the others nor the address")
    func urgentData() async throws {
        let hosts = try await Hosts()
        let clients = try Clients(10)
        let urgent = try PeerProcess(Self.inside(.client) + ["python3", "-c", Self.urgentClient, Self.service])
        try urgent.expect("SENT\n")
        try hosts.a.process.send("move\n")
        try hosts.a.process.expect("1 stayed: urgent data is waiting")
        try hosts.a.process.expect("moved 10 connections to b.example in")
        try hosts.a.process.expect("1 remain, 0 in doubt, the address has moved\n")
        #expect(try clients.turn() == ["10 b.example"])
        try clients.stop()
        try urgent.endInput()
    }

    @Test("a link that is cut before the answer moves nothing: all go on, and move when it is whole again")
    func cutBeforeAnswer() async throws {
        let cutter = try Cutter()
        let hosts = try await Hosts(optionsOfA: ["--peer", "192.0.2.2", "--peer-port", "9441"])
        let clients = try Clients(40)
        try cutter.cut("answer")
        try hosts.a.process.send("move\n")
        try cutter.process.expect("CUT\n")
        try hosts.a.process.expect("moved 0 connections to b.example in")
        try hosts.a.process.expect("40 remain, 0 in doubt, the address is still here\n")
        try hosts.a.process.expect("ended early: the link between the hosts ended")
        #expect(try clients.turn() == ["40 a.example"])
        // It lets go of what it had restored.
        try hosts.b.process.expect("a link to another host has ended")
        try cutter.cut("nothing")
        try hosts.a.process.send("move\n")
        try hosts.a.process.expect("moved 40 connections to b.example in")
        #expect(try clients.turn() == ["40 b.example"])
        try clients.stop()
    }

    @Test("a link that is cut with the commit leaves each connection at one host or at none, and never at both")
    func cutWithCommit() async throws {
        let cutter = try Cutter()
        let hosts = try await Hosts(optionsOfA: ["--peer", "192.0.2.2", "--peer-port", "9441"])
        let clients = try Clients(40)
        try cutter.cut("commit")
        try hosts.a.process.send("move\n")
        try cutter.process.expect("CUT\n")
        try hosts.a.process.expect("moved 0 connections to b.example in")
        try hosts.a.process.expect("in doubt, the address is still here\n")
        let remaining = try hosts.a.process.number(behind: "ms, ")
        // One batch was on its way; its peers hear a reset. The others notice nothing.
        #expect((24..<40).contains(remaining))
        #expect(try clients.turn() == ["\(40 - remaining) lost", "\(remaining) a.example"].sorted())
        #expect(try hosts.a.connections() == remaining)
        #expect(try hosts.b.connections() == 0)
    }

    @Test("what the other host's program cannot read is declined by it, and goes on where it is")
    func unreadable() async throws {
        let files = try TemporaryFiles()
        let authority = try CertificateAuthority(commonName: "Two hosts")
        try await Hosts.reset()
        let b = try Host(.b, files, authority, [])
        let listener = try await Self.lab.run(in: .a) { try Sockets.listen(.ipv4, port: 7000) }
        let client = try await Self.lab.run(in: .client) { try Sockets.connect(.ipv4, port: 7000) }
        let server = try await Self.lab.run(in: .a) { try Sockets.accept(listener) }
        defer { for descriptor in [listener, client, server] { close(descriptor) } }
        let issued = try authority.issue(for: ["a.example"])
        let credentials = try HostCredentials(
            identity: .init(
                certificateChain: .text(issued.certificatePEM), privateKey: .text(issued.privateKeyPEM)),
            authorities: .text(authority.certificatePEM), peers: [b.name])
        let name = b.name
        let outcomes = try await Self.lab.run(in: .a) { () throws -> [SocketMigration.Outcome] in
            let steering = try FlowSteering(interface: "e0")
            let link = try HostLink(connectingTo: "192.0.2.3", port: 9440, as: name, credentials)
            let hop = NextHop(IPAddress("192.0.2.2")!)
            try link.send(.hello(versions: HostMessage.versions, hop))
            guard case .hello(_, let peer) = try link.receiveMessage(within: .seconds(60)) else { return [] }
            try link.send(.begin)
            guard try link.receiveMessage(within: .seconds(60)) == .done else { return [] }
            let source = MigrationSource(steering: steering, transport: link, to: peer)
            let parcel: [UInt8]? = [1, 0, 0, 0, 1, 0]
            var outcomes: [SocketMigration.Outcome] = []
            for companion in [parcel, nil] {
                outcomes += source.move([try MovableSocket(examining: server)]) { _ in
                    companion.map { SecretBytes(copying: $0.span.bytes) }
                }
                try steering.settle()
            }
            try link.send(.bye)
            return outcomes
        }
        let stayed = SocketMigration.Outcome.stayed(MigrationError(.unreadableCompanion))
        #expect(outcomes == [stayed, stayed])
        try Sockets.writeAll(client, [7])
        #expect(try Sockets.readExactly(server, 1) == [7])
        #expect(try b.connections() == 0)
    }

    // MARK: Parts

    /// One of TLS that sends one urgent byte, which is beside the stream, and then nothing.
    private static let urgentClient = """
        import os, socket, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        s = context.wrap_socket(socket.create_connection((sys.argv[1], 7000), timeout=60))
        s.sendall(b'hello\\n')
        assert s.recv(100)
        socket.socket(fileno=os.dup(s.fileno())).send(b'!', socket.MSG_OOB)
        print('SENT', flush=True)
        sys.stdin.read()
        """

    private static func inside(_ role: Lab.Role) -> [String] {
        ["ip", "netns", "exec", "\(lab.prefix)\(role.rawValue)"]
    }

    /// How many resets the clients' host has seen and sent.
    private static func resets() async throws -> Int {
        try await lab.run(in: .client) { try TCPCounters.read().resets }
    }

    /// A stock client comes, says something, and goes.
    private static func visit(_ host: Host) throws {
        let client = try PeerProcess(
            inside(.client) + ["openssl", "s_client", "-quiet", "-nocommands", "-connect", "\(service):7000"])
        try client.send("hello\n")
        try client.expect("\(host.name) 1 hello\n")
    }

    private static func answers(_ host: Host) async throws -> Bool {
        try await lab.run(in: host.role) {
            InterfaceAddress.all().contains { $0.interface == "e0" && "\($0.address)" == service }
        }
    }

    /// The program at one host.
    private final class Host {
        let role: Lab.Role
        let process: PeerProcess

        var name: String { "\(role.rawValue).example" }

        init(_ role: Lab.Role, _ files: TemporaryFiles, _ authority: CertificateAuthority, _ more: [String]) throws {
            self.role = role
            let (own, other, peer) =
                role == .a ? ("192.0.2.2", "192.0.2.3", "b.example") : ("192.0.2.3", "192.0.2.2", "a.example")
            let name = "\(role.rawValue).example"
            let (certificate, key, _) = try Credentials.shared.write("p256", in: files)
            let issued = try authority.issue(for: [name])
            let link = [
                "--link-cert", try files.write(issued.certificatePEM, "\(name).pem"),
                "--link-key", try files.write(issued.privateKeyPEM, "\(name).key"),
                "--link-ca", try files.write(authority.certificatePEM, "ca.pem"),
            ]
            process = try PeerProcess(
                TwoHostsTests.inside(role)
                    + [
                        "stdbuf", "-oL", try BuiltProgram.path("TwoHosts"), "--name", name, "--address",
                        TwoHostsTests.service,
                    ]
                    + ["--interface", "e0", "--link", own, "--peer", other, "--peer-name", peer]
                    + ["--cert", certificate, "--key", key] + link + more)
            try process.expect("\(name) serves at")
        }

        /// How many it has now.
        func connections() throws -> Int {
            try process.send("status\n")
            try process.expectNext(" connections, came ")
            let answer = process.text.components(separatedBy: "\(name) has ").last ?? ""
            return Int(answer.prefix { $0 != " " }) ?? -1
        }

        func awaitConnections(_ count: Int) throws {
            let deadline = ContinuousClock.now + .seconds(60)
            while try connections() != count {
                guard ContinuousClock.now < deadline else { throw WireError("not \(count) connections") }
            }
        }
    }

    /// Both hosts, A with the service address.
    private struct Hosts {
        let a: Host
        let b: Host
        private let files: TemporaryFiles

        init(optionsOfA: [String] = [], optionsOfB: [String] = []) async throws {
            files = try TemporaryFiles()
            try await Hosts.reset()
            let authority = try CertificateAuthority(commonName: "Two hosts")
            a = try Host(.a, files, authority, optionsOfA)
            b = try Host(.b, files, authority, optionsOfB)
        }

        /// Whatever earlier tests have left.
        static func reset() async throws {
            for role in [Lab.Role.b, .a] {
                try await TwoHostsTests.lab.run(in: role) {
                    try FlowSteering.cleanUp()
                    let takeover = try AddressTakeover(interface: "e0")
                    let address = IPAddress(TwoHostsTests.service)!
                    role == .a ? try takeover.take(address) : try takeover.give(address)
                }
            }
        }
    }

    /// Connections that send lines all the time, each in two pieces, and check number and text of each answer.
    private final class Clients {
        private let process: PeerProcess
        private let count: Int
        private var turns = 0

        init(_ count: Int) throws {
            self.count = count
            process = try PeerProcess(
                TwoHostsTests.inside(.client) + ["python3", "-c", Self.text, TwoHostsTests.service, "\(count)"])
            try process.expect("READY\n")
        }

        /// Has every connection exchange one more line; says how many were answered by which host.
        func turn() throws -> [String] {
            turns += 1
            try process.send("turn\n")
            try process.expect("TURN \(turns): ")
            try process.expect(" END \(turns)\n")
            let line = process.text.components(separatedBy: "TURN \(turns): ")[1]
            return line.components(separatedBy: " END")[0].components(separatedBy: ", ")
        }

        /// Every line of every connection was answered as it should be.
        func stop() throws {
            try process.send("stop\n")
            try process.expect("WHOLE \(count) of \(count)\n")
        }

        private static let text = """
            import collections, os, socket, ssl, sys, threading
            address, count = sys.argv[1], int(sys.argv[2])
            news, pause, turn, isOver = threading.Condition(), threading.Event(), 0, False
            class Client(threading.Thread):
                def __init__(self, index):
                    super().__init__(daemon=True)
                    self.number, self.turn, self.answerer, self.failure = 0, -1, '', None
                    context = ssl.create_default_context()
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                    version = ssl.TLSVersion.TLSv1_2 if index % 3 == 0 else ssl.TLSVersion.TLSv1_3
                    context.minimum_version = context.maximum_version = version
                    s = socket.create_connection((address, 7000), timeout=120)
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for name in ('IDLE', 'INTVL'): s.setsockopt(socket.IPPROTO_TCP, getattr(socket, 'TCP_KEEP' + name), 1)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                    self.s = context.wrap_socket(s)
                    self.s.settimeout(120)
                    self.start()
                def line(self):
                    text = os.urandom(20 + os.urandom(1)[0]).hex()
                    self.s.sendall(text[:20].encode())
                    # The half of a line is there while the connection may be moved.
                    pause.wait(count * 0.0003)
                    self.s.sendall(text[20:].encode() + b'\\n')
                    answer = b''
                    while not answer.endswith(b'\\n'):
                        part = self.s.recv(65536)
                        if not part: raise EOFError('closed')
                        answer += part
                    self.number += 1
                    words = answer.decode().split()
                    if words[1:] != [str(self.number), text]: raise ValueError('wrong answer: %s' % words[:2])
                    return words[0]
                def run(self):
                    try:
                        while not isOver:
                            wanted = turn
                            self.answerer = self.line()
                            with news:
                                self.turn = wanted
                                news.notify_all()
                    except Exception as error:
                        with news:
                            self.failure, self.answerer = repr(error), 'lost'
                            news.notify_all()
            clients = [Client(index) for index in range(count)]
            def settled(): return all(client.turn >= turn or client.failure for client in clients)
            with news: news.wait_for(settled)
            print('READY', flush=True)
            for order in sys.stdin:
                with news:
                    turn += 1
                    news.wait_for(settled)
                if order.strip() == 'turn':
                    hosts = collections.Counter(client.answerer for client in clients)
                    words = ', '.join(sorted('%d %s' % (number, host) for host, number in hosts.items()))
                    print('TURN %d: %s END %d' % (turn, words, turn), flush=True)
                else:
                    isOver = True
                    for client in clients: client.join()
                    for failure in {client.failure for client in clients if client.failure}: print('FAILED', failure)
                    print('WHOLE', sum(not client.failure for client in clients), 'of', count, flush=True)
            """
    }

    /// A relay at host A, port 9441, to the link's port at host B. It can cut the link, by a reset of both sides, where a batch's
    /// answer is about to pass, or the commit.
    private final class Cutter {
        let process: PeerProcess
        private var orders = 0

        init() throws {
            process = try PeerProcess(TwoHostsTests.inside(.a) + ["python3", "-c", Self.text])
            try process.expect("LISTENING\n")
        }

        func cut(_ what: String) throws {
            orders += 1
            try process.send("\(what)\n")
            try process.expect("DONE \(orders)\n")
        }

        private static let text = """
            import select, socket, struct, sys, threading
            def say(words): print(words + '\\n', end='', flush=True)
            listener, order = socket.create_server(('192.0.2.2', 9441)), 'nothing'
            def serve(near):
                far = socket.create_connection(('192.0.2.3', 9440), source_address=('192.0.2.2', 0))
                for s in (near, far): s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                offered, isAnswered = 0, False
                try:
                    while True:
                        for s in select.select([near, far], [], [])[0]:
                            piece = s.recv(1 << 20)
                            if not piece: return
                            # A handshake and greetings take less, an offer of several connections more.
                            if s is near: offered += len(piece)
                            cuts = offered > 5000 and (
                                order == 'answer' and s is far or order == 'commit' and s is near and isAnswered)
                            if cuts:
                                say('CUT')
                                for end in (near, far):
                                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                                return
                            if s is far and offered > 5000: isAnswered = True
                            (far if s is near else near).sendall(piece)
                except OSError: pass
                finally:
                    near.close()
                    far.close()
            def accept():
                while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
            threading.Thread(target=accept, daemon=True).start()
            say('LISTENING')
            for number, line in enumerate(sys.stdin, 1):
                order = line.strip()
                say('DONE %d' % number)
            """
    }
}
