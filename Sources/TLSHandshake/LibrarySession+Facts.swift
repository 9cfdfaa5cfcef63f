internal import COpenSSL
internal import Libc
package import TLSRecords

extension LibrarySession {
    /// Sets the name the server's certificate must be for, and asks for it by SNI.
    func expect(_ serverName: String, isVerified: Bool) throws(TLSConfigurationError) {
        guard !serverName.isEmpty else {
            guard !isVerified else {
                throw TLSConfigurationError(
                    code: .badServerName,
                    message: "a server that is verified needs a name; give its host name or address")
            }
            return
        }
        let name = CertificateNamePattern.normalise(serverName)
        if LibrarySession.isAddress(name) {
            // Addresses are not sent as SNI (RFC 6066 section 3).
            guard isVerified else { return }
            guard X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1 else { throw LibrarySession.bad(name) }
            return
        }
        let isHostName =
            name.utf8.count <= 253
            && name.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
                    || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
            }
        guard isHostName, baton_ssl_set_server_name(ssl, name) == 1 else { throw LibrarySession.bad(name) }
        guard isVerified else { return }
        SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        guard SSL_set1_host(ssl, name) == 1 else { throw LibrarySession.bad(name) }
    }

    private static func isAddress(_ name: String) -> Bool {
        var address = in6_addr()
        return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1
    }

    private static func bad(_ name: String) -> TLSConfigurationError {
        TLSConfigurationError(
            code: .badServerName,
            message: "'\(name.prefix(64))' is neither a host name nor an address; write international names in punycode"
        )
    }

    /// Adds what only the library knows to what the hellos said.
    func settle(_ info: inout ConnectionInfo, asksForCertificate: Bool) {
        if info.role == .server { info.serverName = hello?.serverName }
        info.settle(by: ssl, asksForCertificate: asksForCertificate, peerDetail)
        info.ticketKeyName = ticketKeyName
    }

    /// Whether the peer's certificate is for the host name: among its alternative names, or its common name if it has
    /// none.
    func peerCertificate(isFor name: String) -> Bool {
        guard let certificate = SSL_get1_peer_certificate(ssl) else { return false }
        defer { X509_free(certificate) }
        let name = CertificateNamePattern.normalise(name)
        return X509_check_host(certificate, name, name.utf8.count, UInt32(X509_CHECK_FLAG_NO_WILDCARDS), nil) == 1
    }

    /// The code of the max_fragment_length agreed on (RFC 6066 section 4), 0 for none.
    var maximumFragmentLengthCode: UInt8 { LibrarySession.maximumFragmentLengthCode(of: ssl) }

    static func maximumFragmentLengthCode(of ssl: OpaquePointer) -> UInt8 {
        SSL_get_session(ssl).map { SSL_SESSION_get_max_fragment_length($0) } ?? 0
    }
}

extension ConnectionInfo {
    /// Adds what an `SSL` knows beside the hellos.
    fileprivate mutating func settle(
        by ssl: OpaquePointer, asksForCertificate: Bool, _ detail: PeerCertificateDetail = .subject
    ) {
        applicationProtocol = ConnectionInfo.applicationProtocol(of: ssl)
        peerCertificate = ConnectionInfo.peerCertificate(of: ssl, detail)
        if asksForCertificate, peerCertificate != nil {
            verifyResult = Int32(truncatingIfNeeded: SSL_get_verify_result(ssl))
        }
        isResumed = SSL_session_reused(ssl) == 1
    }

    /// The peer's certificate; a resumed session still has it.
    private static func peerCertificate(
        of ssl: OpaquePointer, _ detail: PeerCertificateDetail
    ) -> PeerCertificate? {
        guard let certificate = SSL_get1_peer_certificate(ssl) else { return nil }
        defer { X509_free(certificate) }
        var peer = CertificateDigest.peerCertificate(certificate, detail)
        guard detail >= .chain else { return peer }
        let own = CertificateDigest.der(of: certificate)
        // What a client sent comes without its own.
        let sent = CertificateDigest.ders(of: SSL_get_peer_cert_chain(ssl))
        peer.chain = limited(sent.first == own ? sent : [own] + sent) ?? limited([own]) ?? []
        if SSL_get_verify_result(ssl) == X509_V_OK {
            peer.verifiedChain = limited(CertificateDigest.ders(of: SSL_get0_verified_chain(ssl))) ?? []
        }
        return peer
    }

    /// `nil` for more than is kept.
    private static func limited(_ chain: [[UInt8]]) -> [[UInt8]]? {
        chain.reduce(0) { $0 + $1.count } <= PeerCertificate.chainLimit ? chain : nil
    }

    private static func applicationProtocol(of ssl: OpaquePointer) -> String? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &count)
        guard let name, count > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }
}

extension HandshakeObserver {
    /// The connection of an `SSL` of somebody else's, which has been observed from its first byte and has done its handshake.
    ///
    /// - Throws: as `snapshot(info:limits:outgoing:)`.
    package consuming func snapshot(ofLibrary ssl: OpaquePointer) throws(HandshakeObserverError) -> Snapshot {
        guard var info else { throw .incomplete }
        info.settle(by: ssl, asksForCertificate: SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
        let limits = RecordLimits(
            info.version, maximumFragmentLengthCode: LibrarySession.maximumFragmentLengthCode(of: ssl))
        return try snapshot(info: info, limits: limits)
    }
}
