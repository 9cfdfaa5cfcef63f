import StockPeers
import TLSHandshake
import TLSRecords
import Testing

@Suite("A handshake")
struct HandshakeTests {
    let credentials = Credentials.shared

    @Test("ends in a connection that carries data both ways, before and after a move", arguments: CipherSuite.allCases)
    func everySuite(_ suite: CipherSuite) throws {
        let options = ProtocolOptions(cipherSuites: [suite])
        var pair = try ConnectedPair.make(credentials.server(options), credentials.client(options))
        let (clientInfo, serverInfo) = (pair.client.info, pair.server.info)
        #expect(clientInfo.suite == suite)
        #expect(serverInfo.suite == suite)
        #expect(clientInfo.role == .client)
        #expect(serverInfo.role == .server)
        try pair.exchange("before")
        pair = pair.moved()
        try pair.exchange("after")
        pair = pair.moved()
        try pair.exchange("and again")
    }

    @Test("takes bytes in pieces of any size", arguments: [1, 2, 5, 7, 100], [TLSVersion.tls12, .tls13])
    func pieces(_ size: Int, _ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        var pair = try ConnectedPair.make(credentials.server(options), credentials.client(options), pieces: size)
        try pair.exchange("in pieces")
    }

    @Test("works with every kind of key", arguments: ["p256", "rsa", "ed25519"], [TLSVersion.tls12, .tls13])
    func keyTypes(_ name: String, _ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        var pair = try ConnectedPair.make(
            credentials.server(options, identities: [name]), credentials.client(options))
        try pair.exchange(name)
    }

    @Test("survives a HelloRetryRequest")
    func helloRetryRequest() throws {
        let client = try credentials.client(ProtocolOptions(groups: ["X25519", "P-384"]))
        let server = try credentials.server(ProtocolOptions(groups: ["P-384"]))
        var pair = try ConnectedPair.make(server, client)
        try pair.exchange("after a second hello")
    }

    @Test("tells both sides the same name, protocol and exported keys", arguments: [TLSVersion.tls12, .tls13])
    func metadata(_ version: TLSVersion) throws {
        let options = ProtocolOptions(
            minimumVersion: version, maximumVersion: version, applicationProtocols: ["h2", "http/1.1"])
        let pair = try ConnectedPair.make(credentials.server(options), credentials.client(options))
        let (client, server) = (pair.client.info, pair.server.info)
        #expect(client.serverName == "localhost")
        #expect(server.serverName == "localhost")
        #expect(client.applicationProtocol == "h2")
        #expect(server.applicationProtocol == "h2")
        #expect(client.verifyResult == 0)
        #expect(server.verifyResult == nil)
        #expect(server.peerCertificate == nil)
        #expect(client.peerCertificate?.sha256.count == 32)
        #expect(client.peerCertificate?.subject == "CN=localhost")
        #expect(client.isResumed == false)
        #expect(client.usesExtendedMasterSecret == (version == .tls12))
        let fromClient = pair.client.exportKeyingMaterial(label: "EXPORTER-Channel-Binding", context: nil, length: 32)
        let fromServer = pair.server.exportKeyingMaterial(label: "EXPORTER-Channel-Binding", context: nil, length: 32)
        let isEqual = if let fromClient, let fromServer { fromClient.equals(fromServer) } else { false }
        #expect(isEqual)
    }

    @Test("prefers the server's application protocol to the client's")
    func serverPreference() throws {
        let pair = try ConnectedPair.make(
            credentials.server(ProtocolOptions(applicationProtocols: ["mqtt", "h2"])),
            credentials.client(ProtocolOptions(applicationProtocols: ["h2", "mqtt"])))
        let chosen = pair.server.info.applicationProtocol
        #expect(chosen == "mqtt")
    }

    @Test("chooses the certificate by server name, an exact name before a wildcard, the first for the rest")
    func serverNames() throws {
        let server = try credentials.server(identities: ["p256", "wildcard", "exact"])
        let client = try ClientContext(ClientConfiguration(verification: .none))
        for (name, subject) in [
            ("www.example.com", "CN=www.example.com"), ("WWW.example.com.", "CN=www.example.com"),
            ("mail.example.com", "CN=*.example.com"), ("a.b.example.com", "CN=localhost"),
            ("example.com", "CN=localhost"), ("elsewhere.test", "CN=localhost"), ("", "CN=localhost"),
        ] {
            let pair = try ConnectedPair.make(server, client, name: name)
            let presented = pair.client.info.peerCertificate?.subject
            #expect(presented == subject, "for '\(name)'")
        }
    }

    @Test("never presents one name's certificate for another because its key type fits better")
    func noStrayCertificates() throws {
        // The default is RSA; the client can do ECDSA only, and there is an ECDSA certificate for another name.
        let server = try credentials.server(identities: ["rsa", "exact"])
        let options = ProtocolOptions(cipherSuites: [.ecdheECDSAWithAES128GCM])
        let client = try ClientContext(ClientConfiguration(verification: .none, options: options))
        #expect(throws: HandshakeError.self) { _ = try ConnectedPair.make(server, client, name: "localhost") }
    }

    @Test("keeps what arrived behind the Finished message for the connection", arguments: [TLSVersion.tls12, .tls13])
    func earlyData(_ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        var client = try Handshake(client: credentials.client(options), serverName: "localhost")
        var server = Handshake(server: try credentials.server(options))
        // The client is done one flight before the server in TLS 1.3; in TLS 1.2 the server is.
        var clientIsDone = false
        while !clientIsDone {
            clientIsDone = try client.advance() == .established
            if clientIsDone { break }
            ConnectedPair.move(&client, to: &server)
            _ = try server.advance()
            ConnectedPair.move(&server, to: &client)
        }
        var first = try client.connection()
        try first.send(Array("sent with the Finished message".utf8).span.bytes)
        let packet = first.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
        first.didWrite(packet.count)
        server.receive(packet.span.bytes)
        let isDone = try server.advance() == .established
        #expect(isDone)
        var second = try server.connection()
        let event = try second.nextEvent()
        #expect(event == .applicationData(30))
    }

    @Test("agrees on smaller records and keeps to them", arguments: [TLSVersion.tls12, .tls13])
    func maximumFragmentLength(_ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        var pair = try ConnectedPair.make(
            credentials.server(options), credentials.client(options, fragment: 512))
        let limits = pair.server.limits
        #expect(limits.sending == (version == .tls13 ? 513 : 512))
        try ConnectedPair.pass(String(repeating: "x", count: 5_000), from: &pair.server, to: &pair.client)
    }

    @Test(
        "asks for a client certificate, and takes one of the configured authority",
        arguments: [TLSVersion.tls12, .tls13])
    func clientCertificates(_ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        let server = try credentials.server(options, clients: .required(authorities: credentials.roots))
        var pair = try ConnectedPair.make(server, credentials.client(options, identity: "client"))
        let info = pair.server.info
        #expect(info.peerCertificate?.subject == "CN=device-17")
        #expect(info.verifyResult == 0)
        try pair.exchange("known to each other")

        let lenient = try credentials.server(options, clients: .optional(authorities: credentials.roots))
        let anonymous = try ConnectedPair.make(lenient, credentials.client(options))
        let none = anonymous.server.info
        #expect(none.peerCertificate == nil)
        #expect(none.verifyResult == nil)
    }

    @Test("says so when the connection is asked for too early")
    func tooEarly() throws {
        let handshake = Handshake(server: try credentials.server())
        var code: HandshakeError.Code?
        do { _ = try handshake.connection() } catch { code = error.code }
        #expect(code == .internalFailure)
    }
}
