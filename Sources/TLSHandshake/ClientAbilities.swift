internal import COpenSSL
internal import TLSRecords

/// What a client can do with certificates, once version and parameters in common are known.
struct ClientAbilities {
    var isTLS13: Bool
    /// The schemes of handshake signatures that both sides have. Empty: the client named none, and the library decides.
    var schemes: [UInt16]
    /// See `OfferedHello.certificateSchemes`.
    var certificateSchemes: [UInt16]?
    /// See `OfferedHello.groups`.
    var groups: [UInt16]?
    /// Whether a suite of TLS 1.2 in common is authenticated by RSA, by ECDSA.
    var hasRSASuite = true
    var hasECDSASuite = true

    /// For the library's certificate callback.
    init(_ ssl: OpaquePointer, _ hello: OfferedHello?) {
        isTLS13 = SSL_version(ssl) == TLS1_3_VERSION
        certificateSchemes = hello?.certificateSchemes
        groups = hello?.groups
        schemes = []
        let count = SSL_get_shared_sigalgs(ssl, 0, nil, nil, nil, nil, nil)
        for index in 0..<max(0, count) {
            var signature: UInt8 = 0
            var hash: UInt8 = 0
            SSL_get_shared_sigalgs(ssl, index, nil, nil, nil, &signature, &hash)
            schemes.append(UInt16(hash) << 8 | UInt16(signature))
        }
        guard !isTLS13 else { return }
        let offered = Set(ClientAbilities.suites(SSL_get_client_ciphers(ssl)).map { SSL_CIPHER_get_id($0) })
        let common = ClientAbilities.suites(SSL_get_ciphers(ssl)).filter { offered.contains(SSL_CIPHER_get_id($0)) }
        hasRSASuite = common.contains { SSL_CIPHER_get_auth_nid($0) == NID_auth_rsa }
        hasECDSASuite = common.contains { SSL_CIPHER_get_auth_nid($0) == NID_auth_ecdsa }
    }

    /// Whether a handshake with this certificate can come to its end.
    func canUse(_ identity: LoadedIdentity) -> Bool {
        let kind = identity.kind
        if !isTLS13 {
            guard kind.isRSA ? hasRSASuite : hasECDSASuite else { return false }
            // There the groups are for certificates too (RFC 8422 section 5.1.1); in TLS 1.3 the scheme says it.
            if case .ecdsa(let curve?) = kind, let groups, !groups.contains(curve) { return false }
        }
        guard schemes.isEmpty || schemes.contains(where: { kind.signs(by: $0, inTLS13: isTLS13) }) else { return false }
        guard let certificateSchemes, !identity.schemesOfIssuer.isEmpty else { return true }
        return certificateSchemes.contains { identity.schemesOfIssuer.contains($0) }
    }

    private static func suites(_ stack: OpaquePointer?) -> [OpaquePointer] {
        (0..<max(0, OPENSSL_sk_num(stack))).compactMap { OPENSSL_sk_value(stack, $0).map { OpaquePointer($0) } }
    }
}
