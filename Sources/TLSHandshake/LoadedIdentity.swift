internal import COpenSSL
internal import Libc
internal import Synchronization

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
    let term: CertificateTerm
    let staple: OCSPStaple?
    private let fetchesResponse: Bool
    /// What errors and notices call the certificate.
    private let name: String
    /// What does not keep it from being used and does not change with time, one line each.
    private let fixedNotices: [String]
    /// What has been told of the end of its life.
    private let toldStage: Mutex<CertificateTerm.Stage>
    /// What its files were before they were read.
    private let stamps: [SmallFile.Stamp?]

    init(_ identity: ServerConfiguration.Identity) throws(TLSConfigurationError) {
        stamps = LoadedIdentity.stamps(of: identity)
        name = identity.certificateChain.name
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
        term = CertificateTerm(validity: CertificateFacts.validity(of: certificate))
        toldStage = Mutex(term.stage(at: Int64(time(nil))))
        staple =
            if let folder = identity.ocspDirectory {
                OCSPStaple(folder + "/" + LoadedIdentity.responseName(of: certificate), isFetched: true)
            } else {
                identity.ocspResponse.map { OCSPStaple($0) }
            }
        fetchesResponse = identity.ocspDirectory != nil
        let issuer = LoadedIdentity.issuer(in: chain)
        fixedNotices =
            LoadedIdentity.notices(
                identity, mustStaple: CertificateFacts.mustStaple(certificate),
                hasResponder: CertificateFacts.responder(of: certificate) != nil, hasIssuer: issuer != nil)
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

    func isValid(at now: Int64) -> Bool { term.validity.contains(now) }

    /// Whether the certificate and the key have not changed since they were read.
    func isCurrent(_ identity: ServerConfiguration.Identity) -> Bool {
        !stamps.contains(nil) && LoadedIdentity.stamps(of: identity) == stamps
    }

    /// What does not keep it from being used and will be asked about later, one line each. Who loads it is to tell of that.
    func notices(at now: Int64) -> [String] {
        [term.notice(at: now)].compactMap { $0.map(sentence) } + fixedNotices
    }

    /// Reads the OCSP response again if its file has changed.
    ///
    /// - Returns: what is wrong with it, or with the certificate by now, each once.
    func refresh(at now: Int64) -> [String] {
        let stage = term.stage(at: now)
        let isNew = toldStage.withLock { told in
            // Clocks may be set back.
            defer { told = stage }
            return told != stage
        }
        return [
            isNew ? term.notice(at: now).map(sentence) : nil,
            staple?.refresh(certificate, issuer: issuer),
        ].compactMap { $0 }
    }

    var description: CertificateDescription {
        let bits = kind.isRSA ? " \(EVP_PKEY_get_bits(key))" : ""
        return CertificateDescription(
            subject: CertificateDigest.text(of: X509_get_subject_name(certificate)),
            issuer: CertificateDigest.text(of: X509_get_issuer_name(certificate)), names: names.map { "\($0)" },
            key: "\(kind)\(bits)", notBefore: term.validity.lowerBound, notAfter: term.validity.upperBound,
            stapledUntil: staple?.expiry(at: Int64(time(nil))), stapleProblem: staple?.problem)
    }

    private func sentence(_ words: String) -> String { "the certificate in \(name) \(words)" }

    private static func stamps(of identity: ServerConfiguration.Identity) -> [SmallFile.Stamp?] {
        [identity.certificateChain, identity.privateKey].map { source in
            if case .file(let path) = source.storage { SmallFile(path).stamp } else { nil }
        }
    }

    /// The certificate of who has issued it, lent; nil if the chain has none.
    var issuer: OpaquePointer? { LoadedIdentity.issuer(in: chain) }

    /// What its responder is asked; nil if nothing is.
    var inquiry: OCSPInquiry? {
        fetchesResponse ? staple.flatMap { OCSPInquiry(self, $0, certificate: name) } : nil
    }

    /// Another certificate of the same name has another response.
    private static func responseName(of certificate: OpaquePointer) -> String {
        CertificateDigest.sha256(of: certificate).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 0xF, radix: 16)
        }.joined() + ".ocsp"
    }

    private static func issuer(in chain: OpaquePointer) -> OpaquePointer? {
        OPENSSL_sk_num(chain) > 0 ? OPENSSL_sk_value(chain, 0).map { OpaquePointer($0) } : nil
    }

    private static func notices(
        _ identity: ServerConfiguration.Identity, mustStaple: Bool, hasResponder: Bool, hasIssuer: Bool
    ) -> [String] {
        var notices: [String] = []
        let chain = identity.certificateChain.name
        if mustStaple, identity.ocspResponse == nil, identity.ocspDirectory == nil {
            notices.append(
                "the certificate in \(chain) asks for OCSP stapling (must-staple); set its ocsp file, or ocsp: fetch")
        }
        if identity.ocspResponse != nil, !hasIssuer {
            notices.append(
                "nobody checks who signed the OCSP response for \(chain), which holds no issuer; add its certificate")
        }
        if identity.ocspDirectory != nil {
            if !hasResponder {
                notices.append("the certificate in \(chain) names no OCSP responder at http://; take ocsp: fetch out")
            } else if !hasIssuer {
                notices.append(
                    "\(chain) holds no issuer, so that no OCSP response can be asked for; add its certificate")
            }
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
