internal import COpenSSL

extension LoadedIdentity {
    func match(_ serverName: String) -> CertificateNamePattern.Match {
        names.map { $0.match(serverName) }.max() ?? .none
    }

    func match(_ pattern: CertificateNamePattern) -> CertificateNamePattern.Match {
        names.map { $0.match(pattern) }.max() ?? .none
    }

    func present(to ssl: OpaquePointer) -> Bool { SSL_use_cert_and_key(ssl, certificate, key, chain, 1) == 1 }

    /// Finds out before the first handshake whether the library accepts the certificate.
    func check(in context: LibraryContext) throws(TLSConfigurationError) {
        guard SSL_CTX_use_cert_and_key(context.pointer, certificate, key, chain, 1) != 1 else { return }
        throw TLSConfigurationError(
            code: .unusableCertificate,
            message: "OpenSSL refuses the certificate (\(LibraryError.takeAll().text)); "
                + "use RSA with 2048 bits or more, ECDSA or Ed25519")
    }
}
