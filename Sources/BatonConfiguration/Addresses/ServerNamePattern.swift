/// A server name, or `*.` and a domain: then every name below the domain, at any depth, but not the domain itself.
package struct ServerNamePattern: Hashable, Sendable {
    /// Whether it begins with `*.`.
    package let isWildcard: Bool
    /// The name or the domain, in lower case without a final dot.
    package let name: String

    /// What a pattern may look like, for messages and documents.
    static let forms = "host names, also as *.DOMAIN"

    /// Reads a pattern; nil if what follows a `*.` is not a host name.
    package init?(_ text: String) {
        isWildcard = text.hasPrefix("*.")
        guard let host = HostName(isWildcard ? String(text.dropFirst(2)) : text) else { return nil }
        name = host.text
    }

    /// Whether it stands for this name, given in lower case without a final dot.
    func matches(_ serverName: String) -> Bool {
        guard isWildcard else { return serverName == name }
        return serverName.utf8.count > name.utf8.count + 1 && serverName.hasSuffix("." + name)
    }
}

extension ServerNamePattern: CustomStringConvertible {
    /// The form that `init(_:)` reads.
    package var description: String { isWildcard ? "*.\(name)" : name }
}
