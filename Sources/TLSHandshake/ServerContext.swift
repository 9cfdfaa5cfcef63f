internal import COpenSSL
internal import Glibc
internal import TLSRecords

/// Everything the handshakes of a server share. Making one reads the files of its configuration; after that it does no
/// I/O, and any number of handshakes may use it at once.
public final class ServerContext: Sendable {
    let library: LibraryContext
    private let identities: [LoadedIdentity]
    private let applicationProtocols: [[UInt8]]
    let ticketKeys: TicketKeyStore
    let verifiesClients: Bool

    /// Checks a configuration and makes a context of it.
    ///
    /// - Parameter ticketKeys: shared with the other processes that serve the same clients; random ones of its own
    ///   otherwise.
    public init(
        _ configuration: ServerConfiguration, ticketKeys: consuming TicketKeys = .random()
    ) throws(TLSConfigurationError) {
        guard !configuration.identities.isEmpty else {
            throw TLSConfigurationError(
                code: .noCertificate, message: "a TLS server needs a certificate and its key; give at least one pair")
        }
        var identities: [LoadedIdentity] = []
        for identity in configuration.identities { identities.append(try LoadedIdentity(identity)) }
        self.identities = identities
        applicationProtocols = configuration.options.applicationProtocols.map { Array($0.utf8) }
        self.ticketKeys = TicketKeyStore(ticketKeys)
        library = try LibraryContext(.server, configuration.options)

        var authorities: [UInt8] = []
        switch configuration.clientCertificates {
        case .none:
            verifiesClients = false
        case .optional(let source):
            verifiesClients = true
            authorities = [1] + (try library.trust(source))
            try library.announce(source)
            SSL_CTX_set_verify(library.pointer, SSL_VERIFY_PEER, nil)
        case .required(let source):
            verifiesClients = true
            authorities = [2] + (try library.trust(source))
            try library.announce(source)
            SSL_CTX_set_verify(library.pointer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        }
        for identity in identities { try identity.check(in: library) }
        setSessionContext(authorities)
        setCallbacks(ticketCount: configuration.ticketCount)
    }

    /// Uses other ticket keys from now on. Tickets under keys that are not among them are ignored: their clients do a
    /// full handshake.
    public func replaceTicketKeys(_ keys: consuming TicketKeys) { ticketKeys.replace(keys) }

    /// The ticket keys in use, to be given to a process that shares them.
    public func copyTicketKeys() -> TicketKeys { ticketKeys.copy() }

    /// A ticket is only good where the same client certificates are asked for: one issued to a client without a
    /// certificate must not open a listener that requires one, though both share ticket keys.
    private func setSessionContext(_ authorities: [UInt8]) {
        let digest = authorities.withUnsafeBytes { HashFunction.sha256.hash($0) }
        SSL_CTX_set_session_id_context(library.pointer, digest, UInt32(digest.count))
    }

    private func setCallbacks(ticketCount: Int) {
        let context = library.pointer
        SSL_CTX_set_cert_cb(
            context,
            { ssl, _ in
                guard let ssl, let session = LibrarySession.of(ssl), let server = session.server else { return 0 }
                return server.present(to: ssl, serverName: session.serverName) ? 1 : 0
            }, nil)
        baton_ssl_ctx_set_server_name_callback(context) { ssl, _, _ in
            guard let ssl, let session = LibrarySession.of(ssl) else { return SSL_TLSEXT_ERR_NOACK }
            guard let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else { return SSL_TLSEXT_ERR_NOACK }
            let bytes = UnsafeRawBufferPointer(start: name, count: strlen(name))
            guard ClientHello.isPrintableName(bytes) else { return SSL_TLSEXT_ERR_NOACK }
            // A lone dot is a name to OpenSSL and normalises to none.
            let serverName = ServerNamePattern.normalise(String(decoding: bytes, as: UTF8.self))
            guard !serverName.isEmpty else { return SSL_TLSEXT_ERR_NOACK }
            session.serverName = serverName
            return SSL_TLSEXT_ERR_OK
        }
        if !applicationProtocols.isEmpty {
            SSL_CTX_set_alpn_select_cb(
                context,
                { ssl, out, outCount, offered, offeredCount, _ in
                    guard let ssl, let session = LibrarySession.of(ssl), let server = session.server, let offered
                    else { return SSL_TLSEXT_ERR_ALERT_FATAL }
                    let list = UnsafeRawBufferPointer(start: offered, count: Int(offeredCount))
                    guard let choice = server.choose(from: list) else {
                        session.hadNoCommonProtocol = true
                        return SSL_TLSEXT_ERR_ALERT_FATAL
                    }
                    out?.pointee = offered + choice.lowerBound
                    outCount?.pointee = UInt8(choice.count)
                    return SSL_TLSEXT_ERR_OK
                }, nil)
        }
        if ticketCount <= 0 {
            baton_ssl_ctx_refuse_tickets(context)
            SSL_CTX_set_num_tickets(context, 0)
        } else {
            SSL_CTX_set_num_tickets(context, min(ticketCount, 16))
            setTicketCallback()
        }
    }

    private func setTicketCallback() {
        SSL_CTX_set_tlsext_ticket_key_evp_cb(library.pointer) { ssl, name, iv, cipher, mac, isSealing in
            guard let ssl, let session = LibrarySession.of(ssl), let keys = session.server?.ticketKeys, let name,
                let iv,
                let cipher, let mac
            else { return -1 }
            guard isSealing == 0 else {
                guard keys.seal(name: name, iv: iv, cipher: cipher, mac: mac) else { return -1 }
                session.ticketKeyName = Array(UnsafeBufferPointer(start: name, count: TicketKeys.nameLength))
                return 1
            }
            switch keys.open(name: name, iv: iv, cipher: cipher, mac: mac) {
            case .ready(let isCurrent):
                session.ticketKeyName = Array(UnsafeBufferPointer(start: name, count: TicketKeys.nameLength))
                // 2 asks for a new ticket: in TLS 1.3 always, because a client should use one once (RFC 8446 appendix C.4),
                // in TLS 1.2 when the key has been rotated.
                return isCurrent && SSL_version(ssl) != TLS1_3_VERSION ? 1 : 2
            case .unknownKey: return 0
            case .failed: return -1
            }
        }
    }

    /// Where the protocol we prefer stands in the client's list (RFC 7301 section 3.1).
    private func choose(from offered: UnsafeRawBufferPointer) -> Range<Int>? {
        for wanted in applicationProtocols {
            var reader = WireReader(offered)
            while let name = reader.vector8() {
                let end = offered.count - reader.remaining
                if name.elementsEqual(wanted) { return end - name.count..<end }
            }
        }
        return nil
    }

    /// Gives the certificates for `serverName` to the library, one of each key type.
    private func present(to ssl: OpaquePointer, serverName: String?) -> Bool {
        // The context has those of all names, from the check at its making.
        SSL_certs_clear(ssl)
        for identity in identities(for: serverName) {
            guard identity.present(to: ssl) else { return false }
        }
        return true
    }

    private func identities(for serverName: String?) -> [LoadedIdentity] {
        if let serverName {
            let matches = identities.map { $0.match(serverName) }
            if let best = matches.max(), best > .none {
                return zip(identities, matches).filter { $0.1 == best }.map(\.0).reversed()
            }
        }
        let first = identities[0]
        // In reverse, because a later one of the same key type replaces an earlier one.
        return identities.filter { $0 === first || (!$0.names.isEmpty && $0.names == first.names) }.reversed()
    }
}
