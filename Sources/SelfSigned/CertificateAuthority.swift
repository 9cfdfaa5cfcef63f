internal import Crypto
internal import Foundation
internal import SwiftASN1
internal import X509
internal import _CryptoExtras

/// A certificate authority that lives as long as this value: for `baton demo`, for `baton serve` without a certificate,
/// and for tests. It is not meant to be trusted by anybody else.
package struct CertificateAuthority: Sendable {
    /// The kinds of key a certificate can have.
    package enum KeyType: Sendable, CaseIterable {
        /// ECDSA on P-256.
        case p256
        /// RSA with 2,048 bits.
        case rsa2048
        /// Ed25519.
        case ed25519
    }

    /// Days a certificate is valid for; it begins an hour ago, so that clocks may differ a little.
    package static let validDays = 30

    private let name: DistinguishedName
    private let key: Certificate.PrivateKey

    /// The authority's own certificate, to be trusted by its clients.
    package let certificatePEM: String

    /// A new authority with a new P-256 key.
    package init(commonName: String) throws {
        name = try DistinguishedName { CommonName(commonName) }
        key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let extensions = try Certificate.Extensions {
            Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
            Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        }
        certificatePEM =
            try CertificateAuthority.sign(
                subject: name, key.publicKey, extensions, issuer: name, key
            ).serializeAsPEM().pemString + "\n"
    }

    /// A certificate for servers and clients, with its key.
    ///
    /// - Parameters:
    ///   - names: host names, wildcards, IPv4 or IPv6 addresses; the first is also the common name.
    ///   - keyType: the kind of its key.
    package func issue(for names: [String], keyType: KeyType = .p256) throws -> IssuedCertificate {
        let certificateKey = try CertificateAuthority.newKey(keyType)
        let subject = try DistinguishedName { CommonName(names.first ?? "unnamed") }
        let certificate = try CertificateAuthority.sign(
            subject: subject, certificateKey.publicKey, CertificateAuthority.leafExtensions(names), issuer: name, key)
        return IssuedCertificate(
            certificatePEM: try certificate.serializeAsPEM().pemString + "\n",
            privateKeyPEM: try certificateKey.serializeAsPEM().pemString + "\n")
    }

    static func newKey(_ type: KeyType) throws -> Certificate.PrivateKey {
        switch type {
        case .p256: Certificate.PrivateKey(P256.Signing.PrivateKey())
        case .rsa2048: Certificate.PrivateKey(try _RSA.Signing.PrivateKey(keySize: .bits2048))
        case .ed25519: Certificate.PrivateKey(Curve25519.Signing.PrivateKey())
        }
    }

    static func leafExtensions(_ names: [String]) throws -> Certificate.Extensions {
        try Certificate.Extensions {
            Critical(BasicConstraints.notCertificateAuthority)
            Critical(KeyUsage(digitalSignature: true))
            try ExtendedKeyUsage([.serverAuth, .clientAuth])
            SubjectAlternativeNames(names.map(CertificateAuthority.generalName))
        }
    }

    static func sign(
        subject: DistinguishedName, _ publicKey: Certificate.PublicKey, _ extensions: Certificate.Extensions,
        issuer: DistinguishedName, _ issuerKey: Certificate.PrivateKey
    ) throws -> Certificate {
        let now = Date()
        return try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
            notValidBefore: now.addingTimeInterval(-3_600),
            notValidAfter: now.addingTimeInterval(Double(validDays) * 86_400),
            issuer: issuer, subject: subject, extensions: extensions, issuerPrivateKey: issuerKey)
    }

    private static func generalName(_ name: String) -> GeneralName {
        var v4 = in_addr()
        if inet_pton(AF_INET, name, &v4) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: &v4) { Array($0)[...] }))
        }
        var v6 = in6_addr()
        if inet_pton(AF_INET6, name, &v6) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: &v6) { Array($0)[...] }))
        }
        return .dnsName(name)
    }
}
