internal import COpenSSL
internal import Libc
internal import TLSRecords

/// What is read from certificates beside their keys.
enum CertificateFacts {
    /// Seconds since 1970; nil for a time that cannot be read.
    static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        guard let time else { return nil }
        var parts = tm()
        guard ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        return Int64(timegm(&parts))
    }

    /// From the first to the last second it is valid.
    static func validity(of certificate: OpaquePointer) -> ClosedRange<Int64> {
        let from = seconds(X509_get0_notBefore(certificate)) ?? .min
        return from...max(from, seconds(X509_get0_notAfter(certificate)) ?? .max)
    }

    /// The signature schemes (RFC 8446 section 4.2.3) of which one must be known to verify the issuer's signature on it;
    /// empty if it is by none of them.
    static func schemesOfIssuer(of certificate: OpaquePointer) -> [UInt16] {
        var (digest, kind): (Int32, Int32) = (0, 0)
        guard X509_get_signature_info(certificate, &digest, &kind, nil, nil) == 1 else { return [] }
        let number: UInt16? = [NID_sha1: 2, NID_sha224: 3, NID_sha256: 4, NID_sha384: 5, NID_sha512: 6][digest]
        switch (kind, number) {
        case (EVP_PKEY_ED25519, _): return [0x0807]
        case (EVP_PKEY_ED448, _): return [0x0808]
        case (EVP_PKEY_RSA, let number?): return [number << 8 | 1]
        case (EVP_PKEY_EC, let number?): return [number << 8 | 3]
        case (EVP_PKEY_RSA_PSS, let number?) where number >= 4: return [0x0800 + number, 0x0805 + number]
        default: return []
        }
    }

    /// Whether it asks its clients to insist on an OCSP response: `status_request` in its TLS features (RFC 7633).
    static func mustStaple(_ certificate: OpaquePointer) -> Bool {
        guard let found = X509_get_ext_d2i(certificate, NID_tlsfeature, nil, nil) else { return false }
        let features = OpaquePointer(found)
        defer { OPENSSL_sk_pop_free(features) { ASN1_INTEGER_free($0?.assumingMemoryBound(to: ASN1_INTEGER.self)) } }
        return (0..<max(0, OPENSSL_sk_num(features))).contains { index in
            let feature = OPENSSL_sk_value(features, index)?.assumingMemoryBound(to: ASN1_INTEGER.self)
            return feature.map { ASN1_INTEGER_get($0) == 5 } ?? false
        }
    }

    /// The first responder for OCSP that it names (RFC 5280 section 4.2.2.1) and that is reached by plain HTTP.
    static func responder(of certificate: OpaquePointer) -> String? {
        guard let stack = X509_get1_ocsp(certificate) else { return nil }
        defer { X509_email_free(stack) }
        for index in 0..<max(0, OPENSSL_sk_num(stack)) {
            guard let text = OPENSSL_sk_value(stack, index) else { continue }
            let url = String(cString: text.assumingMemoryBound(to: CChar.self))
            if url.lowercased().hasPrefix("http://"), url.utf8.count <= 1_024 { return url }
        }
        return nil
    }

    /// The DNS names and addresses of the certificate, or its common name where it has no alternative names (as old test
    /// certificates do).
    static func names(in certificate: OpaquePointer) -> [String] {
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
            guard let value = GENERAL_NAME_get0_value(name, &type) else { continue }
            switch type {
            case GEN_DNS: if let text = text(OpaquePointer(value)) { found.append(text) }
            // A client should not ask for an address by SNI (RFC 6066 section 3); some do.
            case GEN_IPADD: if let text = address(OpaquePointer(value)) { found.append(text) }
            default: continue
            }
        }
        return found
    }

    /// The alternative names that `AlternativeName` has, as far as they are wanted.
    static func alternativeNames(of certificate: OpaquePointer) -> [AlternativeName] {
        guard let names = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        let stack = OpaquePointer(names)
        defer { GENERAL_NAMES_free(stack) }
        var found: [AlternativeName] = []
        var length = 0
        for index in 0..<max(0, OPENSSL_sk_num(stack)) {
            guard let entry = OPENSSL_sk_value(stack, index) else { continue }
            var type: Int32 = 0
            let general = entry.assumingMemoryBound(to: GENERAL_NAME.self)
            guard let value = GENERAL_NAME_get0_value(general, &type),
                let name = alternativeName(type, OpaquePointer(value)), name.isWellFormed
            else { continue }
            length += name.text.utf8.count
            guard found.count < AlternativeName.maxNames, length <= AlternativeName.maxBytes else { break }
            found.append(name)
        }
        return found
    }

    static func alternativeName(_ type: Int32, _ value: OpaquePointer) -> AlternativeName? {
        switch type {
        case GEN_EMAIL: text(value).map(AlternativeName.email)
        case GEN_DNS: text(value).map(AlternativeName.dns)
        case GEN_URI: text(value).map(AlternativeName.uri)
        case GEN_IPADD: address(value).map(AlternativeName.address)
        default: nil
        }
    }

    private static func commonName(of certificate: OpaquePointer) -> String? {
        guard let subject = X509_get_subject_name(certificate) else { return nil }
        let index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
        guard index >= 0, let entry = X509_NAME_get_entry(subject, index) else { return nil }
        return text(OpaquePointer(X509_NAME_ENTRY_get_data(entry)))
    }

    private static func bytes(_ string: OpaquePointer?) -> UnsafeBufferPointer<UInt8>? {
        guard let string else { return nil }
        let value = UnsafePointer<ASN1_STRING>(string)
        guard let data = ASN1_STRING_get0_data(value) else { return nil }
        return UnsafeBufferPointer(start: data, count: Int(ASN1_STRING_length(value)))
    }

    private static func text(_ string: OpaquePointer?) -> String? {
        bytes(string).flatMap { String(validating: $0, as: UTF8.self) }
    }

    private static func address(_ string: OpaquePointer?) -> String? {
        guard let bytes = bytes(string), bytes.count == 4 || bytes.count == 16 else { return nil }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        guard inet_ntop(family, bytes.baseAddress, &text, socklen_t(text.count)) != nil else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
