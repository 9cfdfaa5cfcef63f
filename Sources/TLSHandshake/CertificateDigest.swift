internal import COpenSSL
internal import TLSRecords

/// How a certificate is named once the certificate itself is gone.
enum CertificateDigest {
    /// SHA-256 of the DER form; empty if libcrypto fails.
    static func sha256(of certificate: OpaquePointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
            var written: UInt32 = 0
            count = X509_digest(certificate, EVP_sha256(), buffer.baseAddress, &written) == 1 ? Int(written) : 0
        }
    }

    static func peerCertificate(
        _ certificate: OpaquePointer, _ detail: PeerCertificateDetail = .subject
    ) -> PeerCertificate {
        PeerCertificate(
            sha256: sha256(of: certificate), subject: subject(of: certificate),
            alternativeNames: detail < .names ? [] : CertificateFacts.alternativeNames(of: certificate))
    }

    /// The DER form; empty if libcrypto fails.
    static func der(of certificate: OpaquePointer) -> [UInt8] {
        let length = i2d_X509(certificate, nil)
        guard length > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
            var position = buffer.baseAddress
            count = max(0, Int(i2d_X509(certificate, &position)))
        }
    }

    /// The DER form of each in a stack of certificates.
    static func ders(of stack: OpaquePointer?) -> [[UInt8]] {
        (0..<max(0, OPENSSL_sk_num(stack))).compactMap {
            OPENSSL_sk_value(stack, $0).map { der(of: OpaquePointer($0)) }
        }
    }

    private static func subject(of certificate: OpaquePointer) -> String {
        text(of: X509_get_subject_name(certificate))
    }

    /// A distinguished name in the form of RFC 2253, cut at 1,024 bytes.
    static func text(of name: OpaquePointer?) -> String {
        guard let name, let bio = BIO_new(BIO_s_mem()) else { return "" }
        defer { BIO_free(bio) }
        guard baton_x509_name_print(bio, name) == 1 else { return "" }
        let bytes = [UInt8](unsafeUninitializedCapacity: PeerCertificate.subjectLimit) { buffer, count in
            count = max(0, Int(BIO_read(bio, buffer.baseAddress, Int32(buffer.count))))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
