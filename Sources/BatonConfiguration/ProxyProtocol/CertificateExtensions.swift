package import TLSRecords

/// What the PROXY protocol, version 2, can tell of the certificates of a client's connection beside what its TLS connection keeps
/// itself. The process that has made the handshake tells it to the one that writes the header.
package struct CertificateExtensions: Hashable, Sendable {
    /// PP2_SUBTYPE_SSL_SIG_ALG: by what the server's certificate is signed.
    package var signature: String?
    /// PP2_SUBTYPE_SSL_KEY_ALG: the kind of the server's key and its length.
    package var key: String?
    /// PP2_SUBTYPE_SSL_CLIENT_CERT: the client's certificate in DER, at most `certificateLimit` bytes.
    package var certificate: [UInt8]?
    /// The alternative names of the client's certificate, as OpenSSL writes them: `URI:spiffe://example.org/a`. At most `maxNames`,
    /// URIs first.
    package var names: [String] = []

    /// The most bytes of a certificate.
    package static let certificateLimit = 8_192
    /// The most names, and the most bytes of one.
    package static let maxNames = 32
    package static let nameLimit = 255

    /// Nothing to tell.
    package init() {}

    /// The names to tell of a certificate's.
    package static func names(_ names: [AlternativeName]) -> [String] {
        func prefix(_ name: AlternativeName) -> (order: Int, text: String) {
            switch name {
            case .uri: (0, "URI:")
            case .dns: (1, "DNS:")
            case .address: (2, "IP:")
            case .email: (3, "email:")
            }
        }
        let ordered = names.enumerated().sorted {
            (prefix($0.element).order, $0.offset) < (prefix($1.element).order, $1.offset)
        }
        return Array(
            ordered.map { prefix($0.element).text + $0.element.text }.filter { $0.utf8.count <= nameLimit }
                .prefix(maxNames))
    }

    private enum Kind {
        static let signature: UInt8 = 1
        static let key: UInt8 = 2
        static let certificate: UInt8 = 3
        static let name: UInt8 = 4
    }

    /// For another process of the server; nothing if there is nothing to tell.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        func add(_ kind: UInt8, _ value: some Collection<UInt8>, limit: Int = Self.nameLimit) {
            guard 1...limit ~= value.count else { return }
            bytes += [kind, UInt8(value.count >> 8), UInt8(truncatingIfNeeded: value.count)] + value
        }
        if let signature { add(Kind.signature, signature.utf8) }
        if let key { add(Kind.key, key.utf8) }
        if let certificate { add(Kind.certificate, certificate, limit: Self.certificateLimit) }
        for name in names.prefix(Self.maxNames) { add(Kind.name, name.utf8) }
        return bytes
    }

    /// Reads what `encoded` wrote, also that of a later version, which may tell more; `nil` if it is something else.
    package init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while let kind = rest.popFirst() {
            guard let high = rest.popFirst(), let low = rest.popFirst() else { return nil }
            let count = Int(high) << 8 | Int(low)
            guard count <= rest.count else { return nil }
            let value = rest.prefix(count)
            rest = rest.dropFirst(count)
            switch kind {
            case Kind.signature: signature = String(validating: value, as: UTF8.self)
            case Kind.key: key = String(validating: value, as: UTF8.self)
            case Kind.certificate: certificate = Array(value)
            case Kind.name:
                if let name = String(validating: value, as: UTF8.self), names.count < Self.maxNames {
                    names.append(name)
                }
            default: break
            }
        }
    }
}
