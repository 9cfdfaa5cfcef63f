import COpenSSL
import Foundation
import SelfSigned
import StockPeers
import Synchronization
import TLSHandshake
import TLSRecords
import Testing

/// What an application decides in a handshake, and what it learns of its peers, with stock peers.
@Suite("Callbacks of a handshake", .serialized)
struct CallbackTests {
    let credentials = Credentials.shared
    let files: TemporaryFiles
    let chain: ClientChain

    private static let names: [AlternativeName] = [
        .dns("device.example"), .address("192.0.2.7"), .address("2001:db8::7"), .uri("spiffe://example.org/device"),
        .email("device@example.org"),
    ]

    init() throws {
        files = try TemporaryFiles()
        chain = try ClientChain()
    }

    private func client(_ port: UInt16, _ arguments: [String]) throws -> PeerProcess {
        try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-CAfile", credentials.rootsFile(in: files)]
                + arguments)
    }

    private func server(
        _ clients: ServerConfiguration.ClientCertificates, _ detail: PeerCertificateDetail = .chain,
        identity: String = "p256", _ options: ProtocolOptions = .init()
    ) throws -> ServerContext {
        var configuration = ServerConfiguration(
            identities: [credentials.identity(identity)], options: options, clientCertificates: clients)
        configuration.peerCertificateDetail = detail
        return try ServerContext(configuration)
    }

    // MARK: The context

    @Test("the context is chosen by what the client asks for, whole: certificate and application protocols")
    func chosen() throws {
        let contexts = [
            "localhost": try server(.none, identity: "p256", .init(applicationProtocols: ["one"])),
            "www.example.com": try server(.none, identity: "exact", .init(applicationProtocols: ["two"])),
        ]
        for (name, alpn) in [("localhost", "one"), ("www.example.com", "two")] {
            let (listener, port) = try Wire.listen()
            let peer = try client(
                port,
                ["-servername", name, "-verify_hostname", name, "-verify_return_error", "-quiet", "-alpn", "one,two"])
            let handshake = Handshake { hello in hello.serverName.flatMap { contexts[$0] } }
            var session = try Session(listener.accept(), handshake)
            let info = session.connection.info
            #expect(info.serverName == name && info.applicationProtocol == alpn)
            session = try session.moved()
            try session.send("hello\n")
            try peer.expect("hello")
        }
        let (listener, port) = try Wire.listen()
        let peer = try client(port, ["-servername", "other.example"])
        let error = #expect(throws: HandshakeError.self) {
            _ = try Session(listener.accept(), Handshake { hello in hello.serverName.flatMap { contexts[$0] } })
        }
        #expect(error?.code == .unrecognizedName && error?.alert == .unrecognizedName)
        #expect(error?.message.contains("other.example") == true)
        try peer.expect("SSL alert number 112")
    }

    @Test("the choice waits for the whole hello, and is made once", arguments: [1, 7, 100, 10_000])
    func chosenInPieces(_ pieces: Int) throws {
        let count = Mutex(0)
        let context = try credentials.server()
        var ours = Handshake { _ in
            count.withLock { $0 += 1 }
            return context
        }
        var theirs = try Handshake(client: credentials.client(), serverName: "localhost")
        try ConnectedPair.run(&theirs, &ours, pieces: pieces)
        var pair = ConnectedPair(client: try theirs.connection(), server: try ours.connection())
        try pair.exchange("hello")
        #expect(count.withLock { $0 } == 1)
    }

    @Test("what is no hello is refused as always, and nobody is asked")
    func noHello() throws {
        func refuse(_ bytes: [UInt8]) -> HandshakeError? {
            var handshake = Handshake { _ in
                Issue.record("somebody was asked")
                return nil
            }
            handshake.receive(bytes.span.bytes)
            do { _ = try handshake.advance() } catch { return error }
            return nil
        }
        #expect(refuse(Array("GET / HTTP/1.1\r\n\r\n".utf8))?.code == .plainHTTP)
        #expect(refuse([0, 1, 2, 3])?.code == .notTLS)
        #expect(refuse([22, 3, 1, 0, 4, 9, 0, 0, 0])?.alert == .unexpectedMessage)
        let endless = [UInt8]([22, 3, 1, 0x40, 0, 1, 0, 0xFF, 0]) + [UInt8](repeating: 0, count: 0x3FFC)
        #expect(refuse(endless + [22, 3, 1, 0x40, 0] + [UInt8](repeating: 0, count: 0x4000))?.code == .tooLong)
    }

    // MARK: Certificates

    @Test(
        "names of every kind, and the chain as sent and as verified, are kept through a move", arguments: [false, true])
    func kept(python: Bool) throws {
        let (listener, port) = try Wire.listen()
        let context = try server(.required(authorities: .file(chain.path("root.pem"))))
        let script = """
            import socket, ssl, sys
            context = ssl.create_default_context(cafile=sys.argv[2])
            context.load_cert_chain(sys.argv[3])
            with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as s:
                with context.wrap_socket(s, server_hostname='localhost') as t:
                    print(t.recv(100).decode(), flush=True)
            """
        let peer =
            python
            ? try PeerProcess(
                ["python3", "-c", script, "\(port)", credentials.rootsFile(in: files), chain.path("leaf-and-key.pem")])
            : try client(port, ["-quiet"] + chain.arguments)
        var session = try Session(listener.accept(), Handshake(server: context))
        session = try session.moved()
        let shown = try #require(session.connection.info.peerCertificate)
        #expect(shown.subject == "CN=leaf" && shown.alternativeNames == Self.names)
        #expect(shown.chain == [chain.leaf, chain.intermediate] && shown.der == chain.leaf)
        #expect(shown.verifiedChain == [chain.leaf, chain.intermediate, chain.root])
        let verdict = session.connection.info.verifyResult
        #expect(verdict == 0)
        try session.send("hello\n")
        try peer.expect("hello")
    }

    @Test("no more is kept than was asked for", arguments: [PeerCertificateDetail.subject, .names])
    func keptLess(_ detail: PeerCertificateDetail) throws {
        let (listener, port) = try Wire.listen()
        let peer = try client(port, ["-quiet"] + chain.arguments)
        let context = try server(.optional(authorities: .file(chain.path("root.pem"))), detail)
        let session = try Session(listener.accept(), Handshake(server: context))
        let shown = try #require(session.connection.info.peerCertificate)
        #expect(shown.alternativeNames == (detail == .names ? Self.names : []))
        #expect(shown.chain.isEmpty && shown.verifiedChain.isEmpty && shown.subject == "CN=leaf")
        _ = peer
    }

    @Test("a client keeps its server's certificates")
    func ofServer() throws {
        let (peer, port) = try StockPeer.server(.openssl, .tls13, certificate: "p256", in: files)
        var configuration = ClientConfiguration(verification: .roots(credentials.roots))
        configuration.peerCertificateDetail = .chain
        let session = try Session(
            Wire.connect(port), Handshake(client: ClientContext(configuration), serverName: "localhost"))
        let shown = try #require(session.connection.info.peerCertificate)
        #expect(shown.alternativeNames == [.dns("localhost"), .address("127.0.0.1")])
        #expect(shown.chain.count == 1 && shown.verifiedChain.count == 2 && shown.verifiedChain.first == shown.der)
        _ = peer
    }

    // MARK: Verification

    @Test(
        "an application takes a certificate that no authority vouches for, and knows that",
        arguments: ["-tls1_2", "-tls1_3"])
    func accepted(_ version: String) throws {
        let seen = Mutex<ShownCertificates?>(nil)
        let context = try server(
            .verified(isRequired: true) { shown in
                seen.withLock { $0 = shown }
                return shown.names.contains(.uri("spiffe://example.org/device")) ? .accept : .libraryVerdict
            })
        let (listener, port) = try Wire.listen()
        let peer = try client(port, ["-quiet", version, "-servername", "localhost"] + chain.arguments)
        var session = try Session(listener.accept(), Handshake(server: context))
        session = try session.moved()
        try session.send("hello\n")
        try peer.expect("hello")
        let shown = try #require(seen.withLock { $0 })
        #expect(shown.chain == [chain.leaf, chain.intermediate] && shown.names == Self.names)
        #expect(!shown.isVerified && shown.serverName == "localhost")
        #expect(shown.verdict == 20 && shown.verdictText == "unable to get local issuer certificate")
        let info = session.connection.info
        #expect(info.verifyResult == 20 && info.peerCertificate?.sha256 == shown.sha256)
        // What nobody has verified is not called so.
        #expect(info.peerCertificate?.chain == shown.chain && info.peerCertificate?.verifiedChain == [])
    }

    @Test(
        "an error that an application leaves behind in OpenSSL's queue is not the handshake's",
        arguments: [CertificateDecision.accept, .libraryVerdict], ["-tls1_2", "-tls1_3"])
    func leftError(_ decision: CertificateDecision, version: String) throws {
        let context = try server(
            .verified(isRequired: true, authorities: .file(chain.path("root.pem"))) { _ in
                // An application that reads a certificate of its own, which is none.
                let none: [UInt8] = [0x30, 0x82, 0xFF]
                none.withUnsafeBufferPointer { bytes in
                    var position = bytes.baseAddress
                    #expect(d2i_X509(nil, &position, bytes.count) == nil && ERR_peek_error() != 0)
                }
                return decision
            })
        let (listener, port) = try Wire.listen()
        let peer = try client(port, ["-quiet", version] + chain.arguments)
        var session = try Session(listener.accept(), Handshake(server: context))
        try session.send("hello\n")
        try peer.expect("hello")
    }

    @Test("an application's refusal is the alert it names", arguments: CertificateRejection.allCases)
    func refused(_ rejection: CertificateRejection) throws {
        let numbers: [CertificateRejection: Int] = [
            .badCertificate: 42, .unsupportedCertificate: 43, .certificateRevoked: 44, .certificateExpired: 45,
            .certificateUnknown: 46, .unknownCA: 48,
        ]
        let context = try server(
            .verified(isRequired: true, authorities: .file(chain.path("root.pem"))) { shown in
                #expect(shown.isVerified && shown.verifiedChain.count == 3)
                return .reject(rejection, "device is blocked")
            })
        let number = try #require(numbers[rejection])
        let (listener, port) = try Wire.listen()
        let peer = try client(port, chain.arguments)
        let error = #expect(throws: HandshakeError.self) {
            _ = try Session(listener.accept(), Handshake(server: context))
        }
        #expect(error?.code == .certificateRejected && error?.fault == .peer)
        #expect(error.map { $0.message.hasSuffix("device is blocked") } == true)
        #expect(error?.alert?.rawValue == UInt8(number))
        try peer.expect("SSL alert number \(number)")
    }

    @Test("OpenSSL's verdict holds where the application leaves it to it, and a certificate that is required must come")
    func left() throws {
        let context = try server(.verified(isRequired: true, authorities: credentials.roots) { _ in .libraryVerdict })
        for (arguments, code) in [
            (chain.arguments, HandshakeError.Code.certificateRejected), ([], .certificateMissing),
        ] {
            let (listener, port) = try Wire.listen()
            let peer = try client(port, arguments)
            let error = #expect(throws: HandshakeError.self) {
                _ = try Session(listener.accept(), Handshake(server: context))
            }
            #expect(error?.code == code)
            _ = peer
        }
    }

    @Test("an application is asked again where a session is offered", arguments: ["-tls1_2", "-tls1_3"])
    func notResumed(_ version: String) throws {
        let count = Mutex(0)
        let context = try server(
            .verified(isRequired: true, authorities: .file(chain.path("root.pem"))) { _ in
                count.withLock { $0 += 1 }
                return .libraryVerdict
            })
        let stored = files.path("session.pem")
        for arguments in [["-sess_out", stored], ["-sess_in", stored]] {
            let (listener, port) = try Wire.listen()
            let peer = try client(port, [version, "-ign_eof"] + arguments + chain.arguments)
            var session = try Session(listener.accept(), Handshake(server: context))
            let isResumed = session.connection.info.isResumed
            #expect(!isResumed)
            try session.send("hello\n")
            try peer.expect("hello")
            try session.close()
            try peer.expect(nil)
        }
        #expect(FileManager.default.fileExists(atPath: stored))
        #expect(count.withLock { $0 } == 2)
    }

    @Test("an application sees how far OpenSSL came, also where there are revocation lists", arguments: [false, true])
    func chainSeen(hasLists: Bool) throws {
        let seen = Mutex<ShownCertificates?>(nil)
        var configuration = ServerConfiguration(
            identities: [credentials.identity("p256")],
            clientCertificates: .verified(isRequired: true, authorities: credentials.roots) { shown in
                seen.withLock { $0 = shown }
                return .accept
            })
        if hasLists { configuration.revocationLists = [try chain.revocationList()] }
        let context = try ServerContext(configuration)
        let (listener, port) = try Wire.listen()
        let peer = try client(port, ["-quiet"] + chain.arguments)
        var session = try Session(listener.accept(), Handshake(server: context))
        try session.send("hello\n")
        try peer.expect("hello")
        let shown = try #require(seen.withLock { $0 })
        #expect(!shown.isVerified && shown.verifiedChain == [chain.leaf, chain.intermediate])
    }

    @Test("a client pins its server by the digest, without authorities, and refuses another with an alert")
    func pinned() throws {
        let pin = Mutex<[UInt8]>([])
        var configuration = ClientConfiguration(verification: .none)
        configuration.verifier = { shown in
            pin.withLock { pin in
                if pin.isEmpty { pin = shown.sha256 }
                return pin == shown.sha256 ? .accept : .reject(.badCertificate, "not the server of before")
            }
        }
        let context = try ClientContext(configuration)
        for certificate in ["p256", "p256", "rsa"] {
            let (peer, port) = try StockPeer.server(.openssl, .tls13, certificate: certificate, in: files)
            let connect = {
                try Session(Wire.connect(port), Handshake(client: context, serverName: "device-17"))
            }
            guard certificate == "p256" else {
                let error = #expect(throws: HandshakeError.self) { _ = try connect() }
                #expect(error?.code == .certificateRejected && error?.alert == .badCertificate)
                try peer.process.expect("SSL alert number 42")
                continue
            }
            var session = try connect()
            try peer.converse("pinned", with: &session)
        }
    }

    @Test("a client's application sees the verdict on the name")
    func wrongName() throws {
        let seen = Mutex<ShownCertificates?>(nil)
        var configuration = ClientConfiguration(verification: .roots(credentials.roots))
        configuration.verifier = { shown in
            seen.withLock { $0 = shown }
            return .libraryVerdict
        }
        let (peer, port) = try StockPeer.server(.openssl, .tls13, certificate: "p256", in: files)
        let error = try #require(
            #expect(throws: HandshakeError.self) {
                _ = try Session(
                    Wire.connect(port), Handshake(client: ClientContext(configuration), serverName: "other.example"))
            })
        #expect(error.code == .certificateRejected)
        let shown = try #require(seen.withLock { $0 })
        #expect(shown.verdict == 62 && shown.serverName == "other.example")
        _ = peer
    }
}
