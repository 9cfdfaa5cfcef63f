import COpenSSL
import StockPeers
import TLSRecords
import Testing

@testable import TLSHandshake

@Suite("A session ticket")
struct ResumptionTests {
    let credentials = Credentials.shared

    /// A full handshake, up to the client's having a session; the server's tickets are read from behind the handshake.
    private func session(_ server: ServerContext, _ client: ClientContext) throws -> (ClientSession?, isResumed: Bool) {
        try handshake(server, client, resuming: nil)
    }

    private func handshake(
        _ server: ServerContext, _ client: ClientContext, name: String = "localhost", resuming earlier: ClientSession?
    ) throws -> (ClientSession?, isResumed: Bool) {
        // A copy, because in TLS 1.3 a session is good for one connection only.
        let earlier = try earlier.map { session in
            try session.serialised().withUnsafeBytes { try ClientSession(copying: $0.bytes) }
        }
        var theirs = try Handshake(client: client, serverName: name, resuming: earlier)
        var ours = Handshake(server: server)
        try ConnectedPair.run(&theirs, &ours)
        ConnectedPair.move(&ours, to: &theirs)
        let session = try theirs.clientSession()
        var pair = ConnectedPair(client: try theirs.connection(), server: try ours.connection())
        try pair.exchange("with a ticket")
        pair = pair.moved()
        try pair.exchange("after a move")
        let (client, server) = (pair.client.info, pair.server.info)
        #expect(client.isResumed == server.isResumed)
        return (session, server.isResumed)
    }

    @Test(
        "resumes in another process that shares its key, and in one that has rotated it",
        arguments: [TLSVersion.tls12, .tls13])
    func sharedKeys(_ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        let keys = TicketKeys.random()
        let first = try credentials.server(options, ticketKeys: keys.copy())
        let second = try credentials.server(options, ticketKeys: keys.copy())
        let rotated = try credentials.server(options, ticketKeys: keys.rotated())
        let stranger = try credentials.server(options)
        let client = try credentials.client(options)

        let (ticket, isResumed) = try session(first, client)
        #expect(!isResumed)
        #expect(ticket != nil)
        #expect(try handshake(second, client, resuming: ticket).isResumed)
        #expect(try handshake(rotated, client, resuming: ticket).isResumed)
        #expect(try !handshake(stranger, client, resuming: ticket).isResumed)
    }

    @Test("is the same server's as in earlier releases, unless an application decides about certificates")
    func sessionFacts() throws {
        var configuration = ServerConfiguration(
            identities: [credentials.identity("p256")],
            options: ProtocolOptions(minimumVersion: .tls12, maximumVersion: .tls13, cipherSuites: [.aes128GCM]))
        configuration.sessionScope = "scope"
        let begin = [0, 0, 0, 5] + Array("scope".utf8)
        let end: [UInt8] =
            [0, 0, 0, 2, 1, 2] + [0, 0, 0, 3, 7, 8, 9] + [0, 0, 0, 2, 3, 3] + [0, 0, 0, 2, 3, 4] + [
                0, 0, 0, 2, 0x13, 1,
            ]
        for (asksVerifier, demand) in [(false, [0, 0, 0, 1, 2]), (true, [0, 0, 0, 2, 2, 1])] as [(Bool, [UInt8])] {
            let facts = ServerContext.sessionFacts(
                configuration, demand: 2, asksVerifier: asksVerifier, authorities: [1, 2], certificates: [[7, 8, 9]])
            #expect(facts == begin + demand + end)
        }
    }

    @Test(
        "of a client is resumed by the context whose verifier took its server, and by no other",
        arguments: [TLSVersion.tls12, .tls13])
    func clientVerifier(_ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        let server = try credentials.server(options)
        func client() throws -> ClientContext {
            var configuration = ClientConfiguration(verification: .roots(credentials.roots), options: options)
            configuration.verifier = { _ in .accept }
            return try ClientContext(configuration)
        }
        let (first, second) = (try client(), try client())
        let (ticket, isResumed) = try session(server, first)
        #expect(!isResumed && ticket != nil)
        #expect(try handshake(server, first, resuming: ticket).isResumed)
        #expect(try !handshake(server, second, resuming: ticket).isResumed)
        #expect(try !handshake(server, credentials.client(options), resuming: ticket).isResumed)
    }

    @Test("is refused once its key has been rotated out")
    func rotatedOut() throws {
        let server = try credentials.server()
        let client = try credentials.client()
        let (ticket, _) = try session(server, client)
        #expect(try handshake(server, client, resuming: ticket).isResumed)
        server.replaceTicketKeys(server.copyTicketKeys().rotated(keeping: 0))
        #expect(try !handshake(server, client, resuming: ticket).isResumed)
    }

    @Test("survives being stored", arguments: [TLSVersion.tls12, .tls13])
    func stored(_ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        let (server, client) = (try credentials.server(options), try credentials.client(options))
        let ticket = try #require(try session(server, client).0)
        #expect(ticket.version == version)
        let copy = try ticket.serialised().withUnsafeBytes { try ClientSession(copying: $0.bytes) }
        #expect(try handshake(server, client, resuming: copy).isResumed)
        #expect(throws: TLSConfigurationError.self) { try ClientSession(copying: [1, 2, 3].span.bytes) }
    }

    @Test("of a listener without client certificates does not open one that requires them")
    func otherListener() throws {
        let keys = TicketKeys.random()
        let open = try credentials.server(ticketKeys: keys.copy())
        let closed = try credentials.server(clients: .required(authorities: credentials.roots), ticketKeys: keys.copy())
        let (ticket, _) = try session(open, credentials.client(identity: "client"))
        #expect(try !handshake(closed, credentials.client(identity: "client"), resuming: ticket).isResumed)
    }

    @Test("keeps what is known of the client", arguments: [TLSVersion.tls12, .tls13])
    func clientIdentity(_ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        let server = try credentials.server(options, clients: .required(authorities: credentials.roots))
        let client = try credentials.client(options, identity: "client")
        let (ticket, _) = try session(server, client)
        let pair = try ConnectedPair.make(server, client, resuming: ticket)
        let info = pair.server.info
        #expect(info.isResumed)
        #expect(info.peerCertificate?.subject == "CN=device-17")
        #expect(info.ticketKeyName == server.copyTicketKeys().currentName)
    }

    @Test("of TLS 1.3 is offered once")
    func once() throws {
        let (server, client) = (try credentials.server(), try credentials.client())
        let (ticket, _) = try session(server, client)
        let first = try ConnectedPair.make(server, client, resuming: ticket)
        let isResumed = first.server.info.isResumed
        #expect(isResumed)
        let second = try ConnectedPair.make(server, client, resuming: ticket)
        let isResumedAgain = second.server.info.isResumed
        #expect(!isResumedAgain)
    }

    @Test("of TLS 1.3 resumes with another suite only if that has the same hash (RFC 8446 section 4.6.1)")
    func hash() throws {
        let server = try credentials.server(ProtocolOptions(minimumVersion: .tls13))
        func client(_ suite: CipherSuite) throws -> ClientContext {
            try credentials.client(ProtocolOptions(minimumVersion: .tls13, cipherSuites: [suite]))
        }
        let (ticket, _) = try session(server, client(.aes128GCM))
        #expect(try handshake(server, client(.chaCha20Poly1305), resuming: ticket).isResumed)
        #expect(try !handshake(server, client(.aes256GCM), resuming: ticket).isResumed)
    }

    @Test(
        "is offered only where the server is verified by the same roots and name (RFC 8446 section 4.6.1)",
        arguments: [TLSVersion.tls12, .tls13])
    func identity(_ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        let server = try credentials.server(options)
        let lax = try ClientContext(ClientConfiguration(verification: .none, options: options))
        let strict = try credentials.client(options)
        let (unverified, _) = try session(server, lax)
        #expect(try handshake(server, lax, resuming: unverified).isResumed)
        #expect(try !handshake(server, strict, resuming: unverified).isResumed)
        // Addresses are not sent, so the server would resume both.
        let (ticket, _) = try handshake(server, lax, name: "127.0.0.1", resuming: nil)
        #expect(try handshake(server, lax, name: "127.0.0.1", resuming: ticket).isResumed)
        #expect(try !handshake(server, lax, name: "127.0.0.2", resuming: ticket).isResumed)
    }

    @Test("of TLS 1.3 lives 7 days at most, and each has another ticket_age_add (RFC 8446 section 4.6.1)")
    func lifetime() throws {
        final class Seen { var tickets: [[UInt8]] = [] }
        let seen = Seen()
        var pair = try LibraryPair(
            credentials.server(ProtocolOptions(minimumVersion: .tls13)), credentials.client(), size: .max)
        SSL_set_msg_callback(pair.client.ssl) { isOutgoing, _, type, bytes, count, _, seen in
            guard isOutgoing == 0, type == SSL3_RT_HANDSHAKE, let bytes, count >= 12, let seen else { return }
            let message = Array(UnsafeRawBufferPointer(start: bytes, count: 12))
            if message[0] == 4 { Unmanaged<Seen>.fromOpaque(seen).takeUnretainedValue().tickets.append(message) }
        }
        SSL_ctrl(pair.client.ssl, SSL_CTRL_SET_MSG_CALLBACK_ARG, 0, Unmanaged.passUnretained(seen).toOpaque())
        try pair.handshake()
        try pair.exchange("after the tickets")
        withExtendedLifetime(seen) {}
        #expect(seen.tickets.count == 2)
        for ticket in seen.tickets {
            let lifetime = ticket[4..<8].reduce(0) { $0 << 8 | Int($1) }
            #expect(1...604_800 ~= lifetime)
        }
        #expect(Set(seen.tickets.map { Array($0[8..<12]) }).count == 2)
    }

    @Test("is not given where resumption is off", arguments: [TLSVersion.tls12, .tls13])
    func off(_ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        let server = try credentials.server(options, ticketCount: 0)
        let (ticket, _) = try session(server, credentials.client(options))
        if let ticket {
            #expect(try !handshake(server, credentials.client(options), resuming: ticket).isResumed)
        }
    }
}

@Suite("Ticket keys")
struct TicketKeysTests {
    @Test("come back from their serialised form, the current one first")
    func serialised() throws {
        let keys = TicketKeys.random().rotated().rotated()
        #expect(keys.count == 3)
        let copy = try keys.serialised().withUnsafeBytes { (bytes) throws in try TicketKeys(copying: bytes.bytes) }
        #expect(copy.currentName == keys.currentName)
        let isEqual = copy.serialised().equals(keys.serialised())
        #expect(isEqual)
    }

    @Test("drop the oldest when rotated")
    func rotated() {
        var keys = TicketKeys.random()
        for _ in 0..<5 { keys = keys.rotated(keeping: 2) }
        #expect(keys.count == 3)
        #expect(keys.rotated(keeping: 0).count == 1)
        #expect(keys.rotated(keeping: .max).count == 4)
        #expect(keys.rotated(keeping: .min).count == 1)
    }

    @Test("are refused when their length or their names are wrong", arguments: [0, 1, 79, 81, 160, 80 * 17])
    func refused(_ length: Int) {
        // All zero: 160 bytes are two keys of the same name.
        let bytes = [UInt8](repeating: 0, count: length)
        var code: TLSConfigurationError.Code?
        do { _ = try TicketKeys(copying: bytes.span.bytes) } catch { code = error.code }
        #expect(code == .badTicketKeys)
    }
}
