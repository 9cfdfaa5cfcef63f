/// A host name, or `*.` and a host name for exactly one label before it (RFC 6125 section 6.4.3).
struct CertificateNamePattern: Sendable, Hashable {
    private let suffix: String
    private let isWildcard: Bool

    init(_ text: String) {
        let name = CertificateNamePattern.normalise(text)
        isWildcard = name.hasPrefix("*.")
        suffix = isWildcard ? String(name.dropFirst(2)) : name
    }

    enum Match: Int, Comparable {
        case none, wildcard, exact
        static func < (a: Match, b: Match) -> Bool { a.rawValue < b.rawValue }
    }

    /// `name` must be normalised.
    func match(_ name: String) -> Match {
        guard isWildcard else { return name == suffix ? .exact : .none }
        guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return .none }
        return name[name.index(after: dot)...] == suffix ? .wildcard : .none
    }

    /// Whether it stands for all that `other` stands for.
    func match(_ other: CertificateNamePattern) -> Match {
        if other == self { return .exact }
        return other.isWildcard ? .none : match(other.suffix)
    }

    /// Host names do not distinguish case, and may be written with the root's dot.
    static func normalise(_ name: String) -> String {
        let lower = name.lowercased()
        return lower.hasSuffix(".") ? String(lower.dropLast()) : lower
    }
}

extension CertificateNamePattern: CustomStringConvertible {
    var description: String { isWildcard ? "*.\(suffix)" : suffix }
}
