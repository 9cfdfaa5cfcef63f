extension ProxyProtocolHeader {
    /// What version 2 tells beside the endpoints, as type, length and value: section 2.2 of the specification.
    package struct Extensions: Hashable, Sendable {
        /// PP2_TYPE_ALPN: the protocol agreed on by ALPN, at most 255 bytes.
        package var applicationProtocol: String?
        /// PP2_TYPE_AUTHORITY: the name that the client asked for by SNI, at most 255 bytes.
        package var authority: String?
        /// PP2_TYPE_UNIQUE_ID: what a load balancer in front calls the connection, 1 to 128 bytes.
        package var uniqueID: [UInt8]?
        /// PP2_TYPE_SSL: the client's TLS connection; nil: it has none.
        package var security: Security?
        /// The alternative names in the client's certificate, each as an extension of the type `nameType`.
        package var names: [String] = []
        /// One of the types that the specification leaves to applications, 0xE0 to 0xEF.
        package var nameType = Extensions.firstCustomType

        /// PP2_TYPE_MIN_CUSTOM.
        package static let firstCustomType: UInt8 = 0xE0

        /// Nothing to tell.
        package init() {}
    }

    /// PP2_TYPE_SSL and what is within.
    package struct Security: Hashable, Sendable {
        /// PP2_SUBTYPE_SSL_VERSION: as OpenSSL writes it, `TLSv1.3`.
        package var version: String
        /// PP2_SUBTYPE_SSL_CIPHER: OpenSSL's name of the suite.
        package var cipher: String
        /// The client's certificate, if it has shown one.
        package var certificate: ClientCertificate?
        /// PP2_SUBTYPE_SSL_SIG_ALG: by what the server's certificate is signed.
        package var signature: String?
        /// PP2_SUBTYPE_SSL_KEY_ALG: the kind of the server's key and its length.
        package var key: String?

        /// A TLS connection without a client certificate.
        package init(version: String, cipher: String, certificate: ClientCertificate? = nil) {
            self.version = version
            self.cipher = cipher
            self.certificate = certificate
        }
    }

    /// A certificate that the client has shown.
    package struct ClientCertificate: Hashable, Sendable {
        /// PP2_SUBTYPE_SSL_CN: the common name of its subject.
        package var commonName: String?
        /// The X509_V code of its verification; 0 is success.
        package var verifyResult: UInt32
        /// Whether it was shown on this connection, rather than on an earlier one of the same TLS session.
        package var isOfThisConnection: Bool
        /// PP2_SUBTYPE_SSL_CLIENT_CERT: the certificate in DER.
        package var der: [UInt8]?

        /// A certificate.
        package init(commonName: String?, verifyResult: UInt32, isOfThisConnection: Bool) {
            self.commonName = commonName
            self.verifyResult = verifyResult
            self.isOfThisConnection = isOfThisConnection
        }
    }
}

extension ProxyProtocolHeader.Extensions {
    private enum Kind {
        static let applicationProtocol: UInt8 = 0x01
        static let authority: UInt8 = 0x02
        static let uniqueID: UInt8 = 0x05
        static let security: UInt8 = 0x20
        static let version: UInt8 = 0x21
        static let commonName: UInt8 = 0x22
        static let cipher: UInt8 = 0x23
        static let signature: UInt8 = 0x24
        static let key: UInt8 = 0x25
        static let clientCertificate: UInt8 = 0x28
    }

    /// The client field of PP2_TYPE_SSL.
    private enum ClientFlag {
        static let tls: UInt8 = 0x01
        static let certificateOfConnection: UInt8 = 0x02
        static let certificateOfSession: UInt8 = 0x04
    }

    static let uniqueIDLimit = 128

    /// Reads what a sender tells. All of it must be well-formed; only the unique ID is kept.
    init(reading bytes: RawSpan) throws(ProxyProtocolError) {
        var offset = 0
        while offset < bytes.byteCount {
            guard offset + 3 <= bytes.byteCount else { throw .malformed }
            let length = Int(bytes.bigEndian16(at: offset + 1))
            guard offset + 3 + length <= bytes.byteCount else { throw .malformed }
            if bytes[offset] == Kind.uniqueID {
                guard length <= Self.uniqueIDLimit else { throw .malformed }
                let value = bytes.extracting((offset + 3)..<(offset + 3 + length)).withUnsafeBytes { Array($0) }
                uniqueID = value.isEmpty ? nil : value
            }
            offset += 3 + length
        }
    }

    /// What is too long to be told is left out rather than cut: half a name is another name.
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        if let applicationProtocol { bytes.append(Kind.applicationProtocol, Array(applicationProtocol.utf8)) }
        if let authority { bytes.append(Kind.authority, Array(authority.utf8)) }
        if let uniqueID { bytes.append(Kind.uniqueID, uniqueID, limit: Self.uniqueIDLimit) }
        if let security { bytes.append(Kind.security, Self.encoded(security), limit: 12_288) }
        for name in names.prefix(CertificateExtensions.maxNames) { bytes.append(nameType, Array(name.utf8)) }
        return bytes
    }

    private static func encoded(_ security: ProxyProtocolHeader.Security) -> [UInt8] {
        var flags = ClientFlag.tls
        if let certificate = security.certificate {
            flags |= ClientFlag.certificateOfSession
            if certificate.isOfThisConnection { flags |= ClientFlag.certificateOfConnection }
        }
        // 'Zero if the client presented a certificate and it was successfully verified, and non-zero otherwise.'
        let result = security.certificate?.verifyResult ?? 1
        var bytes = [flags] + withUnsafeBytes(of: result.bigEndian) { Array($0) }
        bytes.append(Kind.version, Array(security.version.utf8))
        if let name = security.certificate?.commonName { bytes.append(Kind.commonName, Array(name.utf8)) }
        bytes.append(Kind.cipher, Array(security.cipher.utf8))
        if let signature = security.signature { bytes.append(Kind.signature, Array(signature.utf8)) }
        if let key = security.key { bytes.append(Kind.key, Array(key.utf8)) }
        if let der = security.certificate?.der {
            bytes.append(Kind.clientCertificate, der, limit: CertificateExtensions.certificateLimit)
        }
        return bytes
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ kind: UInt8, _ value: [UInt8], limit: Int = 255) {
        guard 1...limit ~= value.count else { return }
        self += [kind, UInt8(value.count >> 8), UInt8(truncatingIfNeeded: value.count)] + value
    }
}
