internal import COpenSSL
internal import TLSRecords

/// An `SSL_CTX` with everything both roles set the same way. It is complete once its owner's init returns, and only
/// read from then on.
final class LibraryContext: @unchecked Sendable {
    let pointer: OpaquePointer

    init(_ role: Role, _ options: ProtocolOptions) throws(TLSConfigurationError) {
        ERR_clear_error()
        guard let pointer = SSL_CTX_new(role == .server ? TLS_server_method() : TLS_client_method()) else {
            _ = LibraryError.takeAll()
            throw TLSConfigurationError(
                code: .libraryFailure, message: "OpenSSL could not make a context; check its installation")
        }
        self.pointer = pointer
        baton_ssl_ctx_set_fixed_options(pointer)
        try set(options)
        SSL_CTX_set_keylog_callback(pointer) { ssl, line in
            guard let ssl, let line else { return }
            LibrarySession.of(ssl)?.logged(line)
        }
        SSL_CTX_set_info_callback(pointer) { ssl, event, value in
            guard let ssl, event & SSL_CB_ALERT != 0, let session = LibrarySession.of(ssl) else { return }
            let alert = Alert(rawValue: UInt8(truncatingIfNeeded: value))
            if event & SSL_CB_WRITE != 0 { session.alertSent = alert } else { session.alertReceived = alert }
        }
    }

    deinit { SSL_CTX_free(pointer) }

    private func set(_ options: ProtocolOptions) throws(TLSConfigurationError) {
        let modern = options.cipherSuites.filter { $0.version == .tls13 }
        let older = options.cipherSuites.filter { $0.version == .tls12 }
        let minimum = older.isEmpty ? max(options.minimumVersion, .tls13) : options.minimumVersion
        let maximum = modern.isEmpty ? min(options.maximumVersion, .tls12) : options.maximumVersion
        guard minimum <= maximum, !options.cipherSuites.isEmpty else {
            throw TLSConfigurationError(
                code: .noUsableVersion,
                message: "no TLS version is left: versions \(options.minimumVersion) to \(options.maximumVersion) with "
                    + "the suites \(options.cipherSuites.map(\.description).joined(separator: ", ")); "
                    + "add a suite of an allowed version")
        }
        let isSet =
            baton_ssl_ctx_set_versions(pointer, Int32(minimum.rawValue), Int32(maximum.rawValue)) == 1
            && SSL_CTX_set_ciphersuites(pointer, modern.map(\.opensslName).joined(separator: ":")) == 1
            && (older.isEmpty
                || SSL_CTX_set_cipher_list(pointer, older.map(\.opensslName).joined(separator: ":")) == 1)
        guard isSet else {
            throw TLSConfigurationError(
                code: .libraryFailure,
                message: "this OpenSSL offers none of the suites given (\(LibraryError.takeAll().text)); add others")
        }
        for group in options.groups {
            // One at a time, so that the error can name it.
            guard group.allSatisfy({ $0.isASCII && $0 != ":" }), baton_ssl_ctx_set_groups(pointer, group) == 1 else {
                _ = LibraryError.takeAll()
                throw TLSConfigurationError(
                    code: .unsupportedGroup,
                    message: "key-exchange group '\(group)' is not supported; use names such as X25519, P-256, P-384")
            }
        }
        if !options.groups.isEmpty, baton_ssl_ctx_set_groups(pointer, options.groups.joined(separator: ":")) != 1 {
            _ = LibraryError.takeAll()
            throw TLSConfigurationError(
                code: .unsupportedGroup, message: "the groups cannot be used together; name each once")
        }
        for name in options.applicationProtocols where !(1...255).contains(name.utf8.count) {
            throw TLSConfigurationError(
                code: .badApplicationProtocol,
                message: "application protocol '\(name.prefix(32))' must be 1 to 255 bytes long")
        }
    }

    /// Trusts the certificates in `source` and no others.
    ///
    /// - Returns: their digests.
    func trust(_ source: PEMSource) throws(TLSConfigurationError) -> [UInt8] {
        let certificates = try CertificateList(source)
        let store = SSL_CTX_get_cert_store(pointer)
        var digests: [UInt8] = []
        for index in 0..<certificates.count {
            guard let certificate = certificates[index] else { continue }
            X509_STORE_add_cert(store, certificate)
            digests += CertificateDigest.sha256(of: certificate)
        }
        return digests
    }

    /// Has the peer's certificate looked at by `CertificateVerification`.
    func verifyPeers() {
        SSL_CTX_set_cert_verify_callback(
            pointer, { context, _ in context.map(CertificateVerification.verify) == true ? 1 : 0 }, nil)
    }

    /// Names the authorities in `source` to clients that are asked for a certificate.
    func announce(_ source: PEMSource) throws(TLSConfigurationError) {
        let certificates = try CertificateList(source)
        for index in 0..<certificates.count { SSL_CTX_add_client_CA(pointer, certificates[index]) }
    }
}
