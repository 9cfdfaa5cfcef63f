internal import COpenSSL

/// A certificate chain and its key as OpenSSL holds them, checked to belong together.
final class LoadedIdentity: @unchecked Sendable {
    // Only read after init; OpenSSL counts references to them under its own locks.
    let certificate: OpaquePointer
    let key: OpaquePointer
    let chain: OpaquePointer
    let names: [ServerNamePattern]

    init(_ identity: ServerConfiguration.Identity) throws(TLSConfigurationError) {
        let certificates = try CertificateList(identity.certificateChain)
        let key = try LoadedIdentity.readKey(identity.privateKey)
        // The list is never empty, or it would have thrown.
        guard let certificate = certificates.takeFirst() else {
            EVP_PKEY_free(key)
            throw TLSConfigurationError(
                code: .badPEM, message: "\(identity.certificateChain.name) holds no certificate")
        }
        self.certificate = certificate
        self.key = key
        self.chain = certificates.takeStack()
        let given = identity.serverNames.isEmpty ? LoadedIdentity.names(in: certificate) : identity.serverNames
        self.names = given.map(ServerNamePattern.init)
        guard X509_check_private_key(certificate, key) == 1 else {
            _ = LibraryError.drain()
            throw TLSConfigurationError(
                code: .keyMismatch,
                message: "the private key in \(identity.privateKey.name) does not belong to the certificate in "
                    + "\(identity.certificateChain.name); give the key that the certificate was issued for")
        }
    }

    deinit {
        X509_free(certificate)
        EVP_PKEY_free(key)
        CertificateList.free(chain)
    }

    private static func readKey(_ source: PEMSource) throws(TLSConfigurationError) -> OpaquePointer {
        try source.withBIO { (bio) throws(TLSConfigurationError) in
            ERR_clear_error()
            var askedForPassphrase = false
            let key = withUnsafeMutablePointer(to: &askedForPassphrase) { asked in
                // Without a callback OpenSSL would ask on the terminal and wait.
                PEM_read_bio_PrivateKey(
                    bio, nil,
                    { _, _, _, asked in
                        asked?.assumingMemoryBound(to: Bool.self).pointee = true
                        return -1
                    }, asked)
            }
            if let key { return key }
            _ = LibraryError.drain()
            guard !askedForPassphrase else {
                throw TLSConfigurationError(
                    code: .encryptedKey,
                    message: "the private key in \(source.name) is encrypted; decrypt it first, "
                        + "for example with 'openssl pkey -in KEY -out PLAIN'")
            }
            throw TLSConfigurationError(
                code: .badPEM,
                message: "\(source.name) holds no private key that can be read; it must be PEM, beginning with "
                    + "'-----BEGIN PRIVATE KEY-----' or the like")
        }
    }

    /// The DNS names of the certificate, or its common name where it has none (as old test certificates do).
    private static func names(in certificate: OpaquePointer) -> [String] {
        guard let names = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else {
            return commonName(of: certificate).map { [$0] } ?? []
        }
        let stack = OpaquePointer(names)
        defer { GENERAL_NAMES_free(stack) }
        var found: [String] = []
        for index in 0..<OPENSSL_sk_num(stack) {
            guard let entry = OPENSSL_sk_value(stack, index) else { continue }
            var type: Int32 = 0
            let name = entry.assumingMemoryBound(to: GENERAL_NAME.self)
            guard let value = GENERAL_NAME_get0_value(name, &type), type == GEN_DNS else { continue }
            if let text = text(OpaquePointer(value)) { found.append(text) }
        }
        return found
    }

    private static func commonName(of certificate: OpaquePointer) -> String? {
        guard let subject = X509_get_subject_name(certificate) else { return nil }
        let index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
        guard index >= 0, let entry = X509_NAME_get_entry(subject, index) else { return nil }
        return text(OpaquePointer(X509_NAME_ENTRY_get_data(entry)))
    }

    private static func text(_ string: OpaquePointer?) -> String? {
        guard let string else { return nil }
        let value = UnsafePointer<ASN1_STRING>(string)
        guard let data = ASN1_STRING_get0_data(value) else { return nil }
        let bytes = UnsafeBufferPointer(start: data, count: Int(ASN1_STRING_length(value)))
        return String(validating: bytes, as: UTF8.self)
    }
}
