internal import BatonCore
internal import COpenSSL
internal import Libc
package import TLSRecords

/// What only the library knows at the end of a server's handshake, for whoever completes it. It does not travel with the
/// connection.
package struct HandshakeFacts: Sendable {
    /// By what the server's certificate is signed, as OpenSSL's short name: `ecdsa-with-SHA256`.
    package var signature: String?
    /// The kind of its key and its length in bits: `EC256`, `RSA2048`.
    package var key: String?
    /// What the client's certificate says, of this connection or of the session that it goes on with; `nil` without one.
    package var client: ClientCertificateFacts?
}

/// What a client's certificate says. All of it is said, or there is a flaw.
package struct ClientCertificateFacts: Sendable {
    /// The certificate in DER.
    package var der: [UInt8] = []
    /// The common names of its subject.
    package var commonNames: [String] = []
    /// Its alternative names.
    package var names: [AlternativeName] = []
    /// Who has issued it, as RFC 4514 writes it.
    package var issuer = ""
    /// SHA-256 of its SubjectPublicKeyInfo in DER.
    package var keyDigest: [UInt8] = []
    /// Why its names are not to be gone by: one cannot be read, could be taken for another, or they are too many.
    package var flaw: String?

    /// The most names of a certificate.
    package static let maxNames = 256
}

extension LibrarySession {
    /// Reads the certificates of a handshake that is done.
    func facts() -> HandshakeFacts {
        defer { ERR_clear_error() }
        var facts = HandshakeFacts()
        if let own = SSL_get_certificate(ssl) {
            facts.signature = OBJ_nid2sn(X509_get_signature_nid(own)).map { String(cString: $0) }
            facts.key = X509_get0_pubkey(own).map(Self.describe)
        }
        if let certificate = SSL_get1_peer_certificate(ssl) {
            facts.client = ClientCertificateFacts(certificate)
            X509_free(certificate)
        }
        return facts
    }

    private static func describe(_ key: OpaquePointer) -> String {
        let kind =
            switch EVP_PKEY_get_base_id(key) {
            case EVP_PKEY_RSA, EVP_PKEY_RSA_PSS: "RSA"
            case EVP_PKEY_EC: "EC"
            case let other: OBJ_nid2sn(other).map { String(cString: $0) } ?? ""
            }
        return "\(kind)\(EVP_PKEY_get_bits(key))"
    }
}

extension ClientCertificateFacts {
    init(_ certificate: OpaquePointer) {
        der = CertificateDigest.der(of: certificate)
        keyDigest = Self.keyDigest(of: certificate)
        if keyDigest.isEmpty { flaw = "its key cannot be read" }
        readCommonNames(of: X509_get_subject_name(certificate))
        readNames(of: certificate)
        issuer = Self.text(of: X509_get_issuer_name(certificate)) ?? ""
        if issuer.isEmpty { flaw = flaw ?? "its issuer cannot be read" }
    }

    private static func keyDigest(of certificate: OpaquePointer) -> [UInt8] {
        guard let key = X509_get_X509_PUBKEY(certificate) else { return [] }
        let length = i2d_X509_PUBKEY(key, nil)
        guard length > 0 else { return [] }
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
            var position = buffer.baseAddress
            count = max(0, Int(i2d_X509_PUBKEY(key, &position)))
        }
        return bytes.withUnsafeBytes { HashFunction.sha256.hash($0) }
    }

    /// In the form of RFC 4514; `nil` for one of more than 4,096 bytes.
    private static func text(of name: OpaquePointer?) -> String? {
        guard let name, let bio = BIO_new(BIO_s_mem()) else { return nil }
        defer { BIO_free(bio) }
        guard baton_x509_name_print(bio, name) == 1 else { return nil }
        let bytes = [UInt8](unsafeUninitializedCapacity: 4_097) { buffer, count in
            count = max(0, Int(BIO_read(bio, buffer.baseAddress, Int32(buffer.count))))
        }
        return bytes.count <= 4_096 ? String(validating: bytes, as: UTF8.self) : nil
    }

    private mutating func readCommonNames(of subject: OpaquePointer?) {
        var index: Int32 = -1
        while true {
            index = X509_NAME_get_index_by_NID(subject, NID_commonName, index)
            guard index >= 0 else { return }
            guard commonNames.count < Self.maxNames, let entry = X509_NAME_get_entry(subject, index),
                let name = Self.utf8(X509_NAME_ENTRY_get_data(entry)),
                // A NUL within would hide what follows it from whoever reads it as a C string.
                name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
            else {
                flaw = flaw ?? "its common name is no plain text"
                return
            }
            commonNames.append(name)
        }
    }

    private static func utf8(_ string: UnsafePointer<ASN1_STRING>?) -> String? {
        var text: UnsafeMutablePointer<UInt8>?
        let length = ASN1_STRING_to_UTF8(&text, string)
        guard let text, length >= 0 else { return nil }
        defer { CRYPTO_free(text, nil, 0) }
        return String(validating: UnsafeBufferPointer(start: text, count: Int(length)), as: UTF8.self)
    }

    private mutating func readNames(of certificate: OpaquePointer) {
        var isCritical: Int32 = 0
        guard let found = X509_get_ext_d2i(certificate, NID_subject_alt_name, &isCritical, nil) else {
            // -1: there are none. Otherwise they cannot be read, or are there twice.
            if isCritical != -1 { flaw = flaw ?? "its alternative names cannot be read" }
            return
        }
        let stack = OpaquePointer(found)
        defer { GENERAL_NAMES_free(stack) }
        for index in 0..<max(0, OPENSSL_sk_num(stack)) {
            guard let entry = OPENSSL_sk_value(stack, index) else { continue }
            var kind: Int32 = 0
            guard let value = GENERAL_NAME_get0_value(entry.assumingMemoryBound(to: GENERAL_NAME.self), &kind)
            else { continue }
            guard [GEN_DNS, GEN_URI, GEN_IPADD, GEN_EMAIL].contains(kind) else { continue }
            guard names.count < Self.maxNames,
                let name = CertificateFacts.alternativeName(kind, OpaquePointer(value)), name.isWellFormed
            else {
                flaw = flaw ?? "one of its alternative names is no plain text, or they are more than \(Self.maxNames)"
                return
            }
            names.append(name)
        }
    }
}
