package import BatonCore

/// What rules know of a client: what its certificate says, which has been verified.
package struct ClientIdentity: Sendable {
    /// One thing that it says.
    enum Name: Hashable, Sendable {
        /// A common name of its subject, in lower case.
        case commonName(String)
        /// A DNS name, in lower case.
        case dns(String)
        /// A URI, normalised.
        case uri(String)
        case address(IPAddress)
        /// SHA-256 of its SubjectPublicKeyInfo in DER.
        case key([UInt8])
        /// Who has issued it.
        case issuer(DistinguishedName)
    }

    /// Everything that it says.
    let names: Set<Name>
    /// Why no rule can be applied: something in the certificate can be read in more than one way, or not at all.
    package let flaw: String?

    /// What a certificate says.
    ///
    /// - Parameters:
    ///   - commonNames: those of its subject.
    ///   - dnsNames: those that are no host name match no rule. So does a wildcard: it names nobody.
    ///   - key: SHA-256 of its SubjectPublicKeyInfo in DER, 32 bytes.
    ///   - issuer: as RFC 4514 writes it.
    ///   - flaw: why no rule is to be applied; `nil`: nothing is known against it.
    package init(
        commonNames: [String] = [], dnsNames: [String] = [], uris: [String] = [], addresses: [IPAddress] = [],
        key: [UInt8] = [], issuer: String = "", flaw: String? = nil
    ) {
        let plain = uris.map(NormalURI.init)
        self.flaw = flaw ?? (plain.contains(nil) ? "a URI in it can be read in more than one way" : nil)
        var names = Set(commonNames.map { Name.commonName($0.asciiLowercased) })
        names.formUnion(dnsNames.filter { !$0.hasSuffix(".") }.compactMap { HostName($0).map { .dns($0.text) } })
        names.formUnion(plain.compactMap { $0.map { .uri($0.text) } })
        names.formUnion(addresses.map { .address($0.unmapped) })
        names.insert(.key(key))
        if let issuer = DistinguishedName(issuer) { names.insert(.issuer(issuer)) }
        self.names = names
    }
}

/// A URI that can be read in one way only: scheme and host in lower case, no `.`, `..` or empty segment in its path, nothing in it
/// that is percent-encoded to hide a delimiter or a control character (RFC 3986 sections 3, 6.2.2 and 7).
struct NormalURI: Hashable, Sendable {
    let text: String
    /// Whether it has a host.
    let hasAuthority: Bool

    init?(_ uri: String) {
        guard uri.utf8.allSatisfy({ 0x21...0x7E ~= $0 && !"\"<>\\^`{|}".utf8.contains($0) }),
            let colon = uri.firstIndex(of: ":"), Self.isScheme(uri[..<colon]), Self.isPlainlyEncoded(uri)
        else { return nil }
        var head = uri[...colon].lowercased()
        var path = uri[uri.index(after: colon)...]
        hasAuthority = path.hasPrefix("//")
        if hasAuthority {
            let authority = path.dropFirst(2).prefix { !"/?#".contains($0) }
            guard !authority.isEmpty else { return nil }
            head += "//" + authority.lowercased()
            path = path[authority.endIndex...]
        }
        let segments = path.prefix { !"?#".contains($0) }.split(separator: "/", omittingEmptySubsequences: false)
        guard !segments.contains("."), !segments.contains("..") else { return nil }
        // The first is before the first slash, and the last may be behind the last one.
        guard segments.count <= 2 || !segments.dropFirst().dropLast().contains("") else { return nil }
        text = head + path
    }

    private static func isScheme(_ text: Substring) -> Bool {
        text.utf8.first?.isLetter == true && text.utf8.allSatisfy { $0.isLetterOrDigit || "+-.".utf8.contains($0) }
    }

    private static func isPlainlyEncoded(_ uri: String) -> Bool {
        var rest = Array(uri.utf8)[...]
        while let percent = rest.firstIndex(of: UInt8(ascii: "%")) {
            rest = rest[(percent + 1)...]
            guard let high = rest.popFirst()?.hexValue, let low = rest.popFirst()?.hexValue else { return false }
            let byte = high << 4 | low
            // What needs no encoding is another spelling of the same (section 6.2.2.2).
            guard byte > 0x20, byte != 0x7F, !byte.isLetterOrDigit, !"-._~/\\%".utf8.contains(byte) else {
                return false
            }
        }
        return true
    }
}
