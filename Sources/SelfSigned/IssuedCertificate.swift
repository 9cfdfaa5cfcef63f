internal import SwiftASN1
internal import X509

/// A certificate and its key as PEM.
///
/// The key is an ordinary string and is not zeroed: it is made for this process and is worth nothing elsewhere.
package struct IssuedCertificate: Sendable {
    /// The certificate.
    package var certificatePEM: String
    /// Its private key, PKCS #8 or SEC 1, not encrypted.
    package var privateKeyPEM: String

    /// A self-signed certificate for `names`: host names, wildcards, or addresses. It is valid for 30 days.
    package static func selfSigned(
        for names: [String], keyType: CertificateAuthority.KeyType = .p256
    ) throws -> IssuedCertificate {
        let key = try CertificateAuthority.newKey(keyType)
        let subject = try DistinguishedName { CommonName(names.first ?? "unnamed") }
        let certificate = try CertificateAuthority.sign(
            subject: subject, key.publicKey, CertificateAuthority.leafExtensions(names), issuer: subject, key)
        return IssuedCertificate(
            certificatePEM: try certificate.serializeAsPEM().pemString + "\n",
            privateKeyPEM: try key.serializeAsPEM().pemString + "\n")
    }
}

extension IssuedCertificate: CustomStringConvertible, CustomReflectable {
    /// That it is one; not its key.
    package var description: String { "a certificate and its key" }
    /// No content.
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
