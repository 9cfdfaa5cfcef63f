internal import BatonCore
internal import COpenSSL
internal import Libc
internal import TLSRecords

extension ServerContext {
    func setCallbacks(ticketCount: Int) {
        let context = library.pointer
        SSL_CTX_set_client_hello_cb(
            context,
            { ssl, alert, _ in
                guard let ssl, let session = LibrarySession.of(ssl) else { return SSL_CLIENT_HELLO_ERROR }
                let hello = OfferedHello(ssl)
                // After a HelloRetryRequest the library takes another name and other protocols. By then the first hello has been
                // decided on: whose context it is, what is demanded of the client.
                if let first = session.hello, !first.isRepeated(by: hello) {
                    session.hasChangedHello = true
                    alert?.pointee = Int32(Alert.illegalParameter.rawValue)
                    return SSL_CLIENT_HELLO_ERROR
                }
                session.hello = hello
                return SSL_CLIENT_HELLO_SUCCESS
            }, nil)
        SSL_CTX_set_cert_cb(
            context,
            { ssl, _ in
                guard let ssl, let session = LibrarySession.of(ssl), let server = session.server else { return 0 }
                return server.present(to: ssl, session.hello) ? 1 : 0
            }, nil)
        // Called with and without a name, once the version is settled, on which the alert depends.
        baton_ssl_ctx_set_server_name_callback(context) { ssl, alert, _ in
            guard let ssl, let session = LibrarySession.of(ssl), let server = session.server, let hello = session.hello
            else { return SSL_TLSEXT_ERR_ALERT_FATAL }
            if let refusal = server.refusal(of: hello, inTLS13: SSL_version(ssl) == TLS1_3_VERSION) {
                session.hadUnknownName = true
                alert?.pointee = Int32(refusal.rawValue)
                return SSL_TLSEXT_ERR_ALERT_FATAL
            }
            // The library keeps the name with the session if it is acknowledged.
            return hello.serverName == nil ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK
        }
        baton_ssl_ctx_set_status_callback(context) { ssl, _ in
            guard let ssl, let server = LibrarySession.of(ssl)?.server else { return SSL_TLSEXT_ERR_NOACK }
            return server.staple(to: ssl) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK
        }
        if !applicationProtocols.isEmpty { setProtocolCallback() }
        if ticketCount <= 0 {
            baton_ssl_ctx_refuse_tickets(context)
            SSL_CTX_set_num_tickets(context, 0)
        } else {
            SSL_CTX_set_num_tickets(context, min(ticketCount, 16))
            setTicketCallbacks()
        }
    }

    // MARK: Certificates

    /// The alert for a client that asks for what is not here, where that is required.
    private func refusal(of hello: OfferedHello, inTLS13: Bool) -> Alert? {
        guard requiresKnownName else { return nil }
        // RFC 8446 section 9.2; older clients have no such alert.
        guard let name = hello.serverName else { return inTLS13 ? .missingExtension : .unrecognizedName }
        return identities.contains { $0.match(name) > .none } ? nil : .unrecognizedName
    }

    private func present(to ssl: OpaquePointer, _ hello: OfferedHello?) -> Bool {
        let client = ClientAbilities(ssl, hello)
        let chosen = CertificateChoice.identities(
            identities, for: hello?.serverName, now: Int64(time(nil)), canUse: client.canUse)
        // The context has all of them, from the check at its making.
        SSL_certs_clear(ssl)
        for identity in chosen {
            guard identity.present(to: ssl) else { return false }
        }
        return true
    }

    private func staple(to ssl: OpaquePointer) -> Bool {
        let certificate = SSL_get_certificate(ssl)
        guard let identity = identities.first(where: { $0.certificate == certificate }),
            let response = identity.staple?.response(at: Int64(time(nil)))
        else { return false }
        return baton_ssl_staple(ssl, response, response.count) == 1
    }

    // MARK: Application protocols

    private func setProtocolCallback() {
        SSL_CTX_set_alpn_select_cb(
            library.pointer,
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

    // MARK: Tickets

    private func setTicketCallbacks() {
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
        SSL_CTX_set_session_ticket_cb(
            library.pointer, nil,
            { ssl, ticket, _, _, status, _ in
                let isOpen = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW
                // Otherwise there is nothing to decide: this keeps the status as it is.
                guard isOpen, let ssl, let ticket else { return SSL_TICKET_RETURN_IGNORE_RENEW }
                guard let session = LibrarySession.of(ssl), let server = session.server,
                    server.accepts(ticket, in: session)
                else { return SSL_TICKET_RETURN_IGNORE_RENEW }
                return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW
            }, nil)
    }

    /// Whether a session may go on in this handshake, as far as the library does not check it. Otherwise a full handshake
    /// follows.
    private func accepts(_ ticket: OpaquePointer, in session: LibrarySession) -> Bool {
        // RFC 6066 section 3: not if the server name is another. The library would go on with the old one in TLS 1.2, and
        // does not compare them in TLS 1.3 (RFC 8446 section 4.2.11 leaves it to us).
        let name = SSL_SESSION_get0_hostname(ticket).map { CertificateNamePattern.normalise(String(cString: $0)) }
        guard name == session.hello?.serverName else { return false }
        guard let clientTrust, let certificate = SSL_SESSION_get0_peer(ticket) else { return true }
        // The application decides by the whole chain, which a ticket does not have.
        guard verifier == nil else { return false }
        // A client may offer any number of tickets, and each look has its cost: one is enough.
        guard !session.hasRefusedCertificate else { return false }
        session.hasRefusedCertificate = !clientTrust.accepts(certificate)
        return !session.hasRefusedCertificate
    }
}
