internal import COpenSSL
internal import Libc

/// What the responder of a certificate is asked (RFC 6960), and what its answer is worth. It does no network I/O.
package struct OCSPInquiry: Sendable {
    /// What an answer is worth.
    package enum Verdict: Sendable, Hashable {
        /// It may be sent from the first to the last of these seconds since 1970.
        case good(ClosedRange<Int64>)
        case revoked
        case useless(String)
    }

    /// The file of the certificate's chain.
    package let certificate: String
    /// The URL that the certificate names.
    package let responder: String
    /// In DER.
    package let request: [UInt8]
    /// Whether clients insist on a response.
    package let isDemanded: Bool
    private let identity: LoadedIdentity
    private let staple: OCSPStaple

    /// Nil if the certificate names no responder, or its issuer is not known.
    init?(_ identity: LoadedIdentity, _ staple: OCSPStaple, certificate: String) {
        guard let issuer = identity.issuer, let responder = CertificateFacts.responder(of: identity.certificate),
            let request = OCSPInquiry.request(identity.certificate, issuer)
        else { return nil }
        self.identity = identity
        self.staple = staple
        self.certificate = certificate
        self.responder = responder
        self.request = request
        isDemanded = CertificateFacts.mustStaple(identity.certificate)
    }

    /// The file in which the answer is kept.
    package var path: String { staple.path }

    /// From when to when the answer holds that is sent; nil: none is.
    package func term(at now: Int64) -> ClosedRange<Int64>? { staple.term(at: now) }

    /// Checks an answer, and has it sent with the certificate if it may be. One that says that the certificate is revoked has none
    /// sent any more.
    package func judge(_ response: [UInt8], at now: Int64) -> Verdict {
        do throws(OCSPStaple.Unusable) {
            let term = try OCSPStaple.check(response, identity.certificate, issuer: identity.issuer, at: now)
            staple.use(response, term)
            return .good(term)
        } catch {
            if error.isRevoked { staple.drop() }
            return error.isRevoked ? .revoked : .useless(error.reason)
        }
    }

    /// Without a nonce (RFC 8954): responders that sign ahead of time have none, and the times say how old an answer is.
    private static func request(_ certificate: OpaquePointer, _ issuer: OpaquePointer) -> [UInt8]? {
        defer { ERR_clear_error() }
        // SHA-1 is what every responder knows (RFC 5019 section 2.1.1); it only names the issuer.
        guard let request = OCSP_REQUEST_new(), let id = OCSP_cert_to_id(EVP_sha1(), certificate, issuer) else {
            return nil
        }
        defer { OCSP_REQUEST_free(request) }
        guard OCSP_request_add0_id(request, id) != nil else {
            OCSP_CERTID_free(id)
            return nil
        }
        let length = i2d_OCSP_REQUEST(request, nil)
        guard length > 0 else { return nil }
        return [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
            var position = buffer.baseAddress
            count = max(0, Int(i2d_OCSP_REQUEST(request, &position)))
        }
    }
}
