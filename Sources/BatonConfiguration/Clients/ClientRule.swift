internal import BatonCore

/// One rule about who may come in, as `allow uri:spiffe://example.org/ns/prod/*`.
package struct ClientRule: Hashable, Sendable {
    /// What a certificate is asked for.
    enum Criterion: Hashable, Sendable {
        /// That it is there.
        case any
        /// A common name of its subject, in lower case.
        case commonName(String)
        /// A DNS name.
        case dns(String)
        /// A DNS name with one label before this one.
        case dnsBelow(String)
        /// A URI.
        case uri(String)
        /// A URI that goes on behind this one, which ends with a slash.
        case uriBelow(String)
        /// An address in a network.
        case address(Network)
        /// SHA-256 of its SubjectPublicKeyInfo.
        case key([UInt8])
        /// Who has issued it.
        case issuer(DistinguishedName)
    }

    let isAllowed: Bool
    let criterion: Criterion
    /// As it was written.
    package let text: String

    /// What is allowed, in words that follow 'must be'.
    static let forms =
        "allow or deny, and cn:NAME, dns:NAME, dns:*.NAME, uri:URI, uri:URI/*, ip:ADDRESS, ip:NETWORK, "
        + "spki:sha256/BASE64, issuer:DN, or any"

    /// Reads a rule; `nil` if it is none.
    package init?(_ text: String) {
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        guard words.count == 2, text.utf8.count <= 8_192, let criterion = Criterion(words[1]) else { return nil }
        switch words[0] {
        case "allow": isAllowed = true
        case "deny": isAllowed = false
        default: return nil
        }
        self.criterion = criterion
        self.text = text
    }
}

extension ClientRule.Criterion {
    fileprivate init?(_ text: String) {
        guard text != "any" else {
            self = .any
            return
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[1].isEmpty else { return nil }
        let (kind, value) = (parts[0], parts[1])
        switch kind {
        case "cn":
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
            self = .commonName(value.asciiLowercased)
        case "dns":
            let isBelow = value.hasPrefix("*.")
            guard let name = HostName(isBelow ? String(value.dropFirst(2)) : value) else { return nil }
            self = isBelow ? .dnsBelow(name.text) : .dns(name.text)
        case "uri":
            let isBelow = value.hasSuffix("/*")
            let plain = isBelow ? String(value.dropLast()) : value
            guard !plain.contains("*"), let uri = NormalURI(plain), uri.hasAuthority || !isBelow else { return nil }
            self = isBelow ? .uriBelow(uri.text) : .uri(uri.text)
        case "ip":
            guard let network = Network(value) else { return nil }
            self = .address(network)
        case "spki":
            let prefix = "sha256/"
            guard value.hasPrefix(prefix), let digest = Self.digest(value.dropFirst(prefix.count)) else { return nil }
            self = .key(digest)
        case "issuer":
            guard let name = DistinguishedName(value) else { return nil }
            self = .issuer(name)
        default: return nil
        }
    }

    /// 32 bytes in base 64 (RFC 4648 section 4), written in the only way there is.
    private static func digest(_ text: Substring) -> [UInt8]? {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        guard text.utf8.count == 44, text.hasSuffix("=") else { return nil }
        var (bits, count): (UInt32, Int) = (0, 0)
        var bytes: [UInt8] = []
        for byte in text.utf8.dropLast() {
            guard let value = alphabet.firstIndex(of: byte) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> count))
            }
        }
        // Two bits are left over.
        return bytes.count == 32 && bits & 3 == 0 ? bytes : nil
    }
}

extension ClientRule {
    /// How much a rule says of those it is about.
    struct Specificity: Comparable {
        enum Rank: Int {
            case any, issuer, pattern, name, key
        }

        let rank: Rank
        /// How much of a name a pattern says, compared with others that match the same name.
        var length = 0

        static func < (a: Specificity, b: Specificity) -> Bool {
            (a.rank.rawValue, a.length) < (b.rank.rawValue, b.length)
        }
    }

    var specificity: Specificity {
        switch criterion {
        case .any: Specificity(rank: .any)
        case .issuer: Specificity(rank: .issuer)
        case .dnsBelow: Specificity(rank: .pattern)
        case .uriBelow(let uri): Specificity(rank: .pattern, length: uri.utf8.count)
        case .address(let network) where !network.isOneAddress:
            Specificity(rank: .pattern, length: network.prefixLength)
        case .commonName, .dns, .uri, .address: Specificity(rank: .name)
        case .key: Specificity(rank: .key)
        }
    }

    func matches(_ name: ClientIdentity.Name) -> Bool {
        switch (criterion, name) {
        case (.any, _): true
        case (.commonName(let wanted), .commonName(let name)): name == wanted
        case (.dns(let wanted), .dns(let name)): name == wanted
        case (.dnsBelow(let wanted), .dns(let name)):
            // One label stands for the wildcard (RFC 9525 section 6.3).
            name.firstIndex(of: ".").map { name[name.index(after: $0)...] == wanted } ?? false
        case (.uri(let wanted), .uri(let uri)): uri == wanted
        case (.uriBelow(let wanted), .uri(let uri)):
            uri.hasPrefix(wanted) && uri.dropFirst(wanted.count).first.map { $0 != "?" && $0 != "#" } ?? false
        case (.address(let network), .address(let address)): network.contains(address)
        case (.key(let wanted), .key(let key)): key == wanted
        case (.issuer(let wanted), .issuer(let issuer)): issuer == wanted
        default: false
        }
    }
}

extension Network {
    fileprivate var isOneAddress: Bool { prefixLength == address.octets.count * 8 }
}

extension SettingFormat where Value == ClientRule {
    static var clientRule: SettingFormat {
        .word("a rule", read: { ClientRule($0) }, write: { $0.text })
    }
}
