internal import COpenSSL
internal import TLSRecords

/// The library's verification of a peer's certificate, and the application's own behind it.
enum CertificateVerification {
    /// For `SSL_CTX_set_cert_verify_callback`: whether the handshake goes on.
    static func verify(_ context: OpaquePointer) -> Bool {
        // Whatever looked at the certificate, the application too, may have left errors behind, and the library takes those of a
        // handshake that waits for input for its own.
        defer { ERR_clear_error() }
        let isVerified = ClientTrust.verify(context)
        guard let ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()),
            let session = LibrarySession.of(OpaquePointer(ssl))
        else { return false }
        guard let verifier = session.verifier else { return isVerified }
        var verdict = X509_STORE_CTX_get_error(context)
        if !isVerified, verdict == X509_V_OK {
            verdict = X509_V_ERR_UNSPECIFIED
            X509_STORE_CTX_set_error(context, verdict)
        }
        // Without a certificate there is nothing to decide.
        guard let certificate = X509_STORE_CTX_get0_cert(context) else { return isVerified }
        switch verifier(shown(certificate, in: context, verdict, session)) {
        case .accept: return true
        case .libraryVerdict: return isVerified
        case .reject(let rejection, let reason):
            session.rejection = reason
            // The library makes the alert of the error.
            X509_STORE_CTX_set_error(context, rejection.error)
            return false
        }
    }

    private static func shown(
        _ certificate: OpaquePointer, in context: OpaquePointer, _ verdict: Int32, _ session: LibrarySession
    ) -> ShownCertificates {
        let facts = CertificateDigest.peerCertificate(certificate, .names)
        let own = CertificateDigest.der(of: certificate)
        let sent = CertificateDigest.ders(of: X509_STORE_CTX_get0_untrusted(context))
        return ShownCertificates(
            chain: sent.first == own ? sent : [own] + sent,
            verifiedChain: CertificateDigest.ders(of: X509_STORE_CTX_get0_chain(context)), sha256: facts.sha256,
            subject: facts.subject, names: facts.alternativeNames,
            serverName: session.server == nil ? session.expectedName : session.hello?.serverName, verdict: verdict,
            verdictText: X509_verify_cert_error_string(Int(verdict)).map { String(cString: $0) } ?? "unknown")
    }
}

extension CertificateRejection {
    /// An error that the library answers with the alert.
    fileprivate var error: Int32 {
        switch self {
        case .badCertificate: X509_V_ERR_CERT_REJECTED
        case .unsupportedCertificate: X509_V_ERR_INVALID_PURPOSE
        case .certificateRevoked: X509_V_ERR_CERT_REVOKED
        case .certificateExpired: X509_V_ERR_CERT_HAS_EXPIRED
        case .unknownCA: X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
        // One that its table does not have.
        case .certificateUnknown: X509_V_ERR_PERMITTED_VIOLATION
        }
    }
}
