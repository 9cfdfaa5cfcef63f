internal import COpenSSL
internal import TLSRecords

extension HandshakeError {
    static let outOfMemory = HandshakeError(
        .internalFailure, fault: .local, "OpenSSL could not allocate a handshake; the process is out of memory")
}

extension LibrarySession {
    /// Says what a failure of the library means, and whose it is.
    func describe(_ error: LibraryError, peer: String, role: Role) -> HandshakeError {
        if let alert = alertReceived, alert != .closeNotify { return refused(with: alert, by: peer, role) }
        if hadNoCommonProtocol {
            return HandshakeError(
                .noApplicationProtocol, alert: alertSent,
                "the client offers no application protocol (ALPN) that this server has; add one of them to either side")
        }
        if hadUnknownName {
            let asked = hello?.serverName.map { "asks for '\($0)', which no certificate here is for" }
            return HandshakeError(
                .unrecognizedName, alert: alertSent,
                "the client \(asked ?? "asks for no server name, and one is required"); add a certificate, or let the "
                    + "client ask for another name")
        }
        if hasChangedHello {
            return HandshakeError(
                .protocolViolation, alert: alertSent,
                "the client asks for something else in its second hello than in its first (RFC 8446 section 4.1.2)")
        }
        guard error.isSSL else {
            return HandshakeError(
                .protocolViolation, alert: alertSent, "the \(peer) sent a handshake that fails: \(error.text)")
        }
        switch error.reason {
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_WRONG_VERSION_NUMBER, SSL_R_WRONG_SSL_VERSION, SSL_R_VERSION_TOO_LOW,
            SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_UNKNOWN_PROTOCOL:
            return HandshakeError(
                .unsupportedVersion, alert: alertSent,
                "the \(peer) offers no TLS version that is allowed here; it must use TLS 1.2 or 1.3, as configured")
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_CIPHERS_SPECIFIED, SSL_R_WRONG_CIPHER_RETURNED,
            SSL_R_UNKNOWN_CIPHER_RETURNED:
            return HandshakeError(
                .noCommonCipherSuite, alert: alertSent,
                "the \(peer) offers no cipher suite that is allowed here; it must offer AES-GCM or ChaCha20-Poly1305 with "
                    + "ECDHE (not CBC, RC4 or plain RSA) that suits the certificate's key")
        case SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SUITABLE_GROUPS, SSL_R_NO_SHARED_GROUPS,
            SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
            SSL_R_UNSUPPORTED_ELLIPTIC_CURVE,
            SSL_R_WRONG_SIGNATURE_TYPE, SSL_R_WRONG_CURVE:
            return HandshakeError(
                .noCommonParameters, alert: alertSent,
                "the \(peer) has no key-exchange group or signature algorithm in common with this side (\(error.text))")
        case SSL_R_CERTIFICATE_VERIFY_FAILED where rejection != nil:
            return HandshakeError(
                .certificateRejected, alert: alertSent,
                "the \(peer)'s certificate is refused by this application: \(rejection ?? "")")
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            let reason =
                X509_verify_cert_error_string(SSL_get_verify_result(ssl)).map { String(cString: $0) } ?? "unknown"
            return HandshakeError(
                .certificateRejected, alert: alertSent,
                "the \(peer)'s certificate is refused: \(reason); check the name, the dates and the trusted roots")
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return HandshakeError(
                .certificateMissing, alert: alertSent,
                "the client sent no certificate; one of the configured CA is required")
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST:
            return HandshakeError(
                .plainHTTP, "plain HTTP on a TLS port: the client must use https:// instead of http://")
        case SSL_R_NO_APPLICATION_PROTOCOL:
            return HandshakeError(
                .noApplicationProtocol, alert: alertSent, "no application protocol (ALPN) in common with the \(peer)")
        default:
            return HandshakeError(
                .protocolViolation, alert: alertSent, "the \(peer)'s handshake breaks the protocol: \(error.text)")
        }
    }

    private func refused(with alert: Alert, by peer: String, _ role: Role) -> HandshakeError {
        let advice: String
        switch alert {
        case .unknownCA: advice = "it does not trust the issuer of our certificate"
        case .protocolVersion: advice = "it takes none of the TLS versions allowed here"
        case .handshakeFailure: advice = "no suite or parameters in common, or it requires a certificate"
        case .certificateRequired: advice = "it requires a certificate; configure one"
        case .noApplicationProtocol: advice = "it has none of our application protocols (ALPN)"
        case .badCertificate: advice = "it does not accept our certificate"
        default: advice = "its own log may tell why"
        }
        return HandshakeError(
            .alertReceived, alert: alert, "the \(peer) ended the handshake with \(alert): \(advice)")
    }
}
