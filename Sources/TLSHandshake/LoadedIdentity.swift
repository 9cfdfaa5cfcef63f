internal import COpenSSL
internal import Libc

/// A certificate chain and its key as OpenSSL holds them, checked to belong together. Making one reads its files, on any
/// thread.
final class LoadedIdentity: @unchecked Sendable {
    // Only read after init; OpenSSL counts references to them under its own locks.
    let certificate: OpaquePointer
    let key: OpaquePointer
    let chain: OpaquePointer
    let names: [CertificateNamePattern]
    let kind: KeyKind
    /// See `CertificateFacts.schemesOfIssuer`.
    let schemesOfIssuer: [UInt16]
    let validity: ClosedRange<Int64>
    let staple: OCSPStaple?
    /// What does not keep it from being used and will be asked about later, one line each.
    let notices: [String]

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
        let given = identity.serverNames.isEmpty ? CertificateFacts.names(in: certificate) : identity.serverNames
        names = given.map(CertificateNamePattern.init)
        kind = KeyKind(key)
        schemesOfIssuer = CertificateFacts.schemesOfIssuer(of: certificate)
        validity = CertificateFacts.validity(of: certificate)
        staple = identity.ocspResponse.map(OCSPStaple.init)
        let issuer = LoadedIdentity.issuer(in: chain)
        notices =
            LoadedIdentity.notices(
                identity, validity, mustStaple: CertificateFacts.mustStaple(certificate), hasIssuer: issuer != nil)
            + (staple?.refresh(certificate, issuer: issuer).map { [$0] } ?? [])
        guard X509_check_private_key(certificate, key) == 1 else {
            _ = LibraryError.takeAll()
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

    func isValid(at now: Int64) -> Bool { validity.contains(now) }

    /// Reads the OCSP response again if its file has changed.
    ///
    /// - Returns: what is wrong with it, once.
    func refresh() -> String? {
        staple?.refresh(certificate, issuer: LoadedIdentity.issuer(in: chain))
    }

    private static func issuer(in chain: OpaquePointer) -> OpaquePointer? {
        OPENSSL_sk_num(chain) > 0 ? OPENSSL_sk_value(chain, 0).map { OpaquePointer($0) } : nil
    }

    private static func notices(
        _ identity: ServerConfiguration.Identity, _ validity: ClosedRange<Int64>, mustStaple: Bool, hasIssuer: Bool
    ) -> [String] {
        var notices: [String] = []
        let now = Int64(time(nil))
        let chain = identity.certificateChain.name
        if now > validity.upperBound {
            notices.append("the certificate in \(chain) has expired; renew it")
        } else if now < validity.lowerBound {
            notices.append("the certificate in \(chain) is not valid yet; check its dates and the clock")
        }
        if mustStaple, identity.ocspResponse == nil {
            notices.append("the certificate in \(chain) asks for OCSP stapling (must-staple); set its ocsp file")
        }
        if identity.ocspResponse != nil, !hasIssuer {
            notices.append(
                "nobody checks who signed the OCSP response for \(chain), which holds no issuer; add its certificate")
        }
        if case .file(let path) = identity.privateKey.storage, SmallFile(path).isReadableByAll {
            notices.append("every user may read the private key in \(path); take that right away (chmod o-r)")
        }
        return notices
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
            _ = LibraryError.takeAll()
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
}
