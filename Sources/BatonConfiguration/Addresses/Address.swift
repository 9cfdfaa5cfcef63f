package import BatonCore

/// Where to listen or to connect: `host:port`, `192.0.2.1:port`, `[v6]:port`, `:port` or `unix:/path`.
package enum Address: Hashable, Sendable {
    /// A TCP port of a host.
    case tcp(Host, port: UInt16)
    /// A Unix stream socket with an absolute path of at most 107 bytes (`sun_path` and its NUL).
    case unix(path: String)

    /// What stands before the port.
    package enum Host: Hashable, Sendable {
        /// Nothing: every address of this machine, to listen on.
        case any
        /// An address.
        case ip(IPAddress)
        /// A link-local IPv6 address, and the interface it is of (RFC 4007 section 11), by name or number.
        case zoned(IPAddress, zone: String)
        /// A host name, in lower case, to be resolved at each connect.
        case name(String)
    }
}

extension Address {
    /// The bytes `sun_path` takes beside its NUL on Linux.
    package static let unixPathLimit = 107

    /// What an address may look like, for messages and documents.
    static let forms = "HOST:PORT, [IPV6]:PORT, :PORT or unix:/PATH"

    /// Reads an address.
    ///
    /// - Throws: `AddressError`, which says what is wrong with the text.
    package init(_ text: String) throws(AddressError) {
        if text.hasPrefix("unix:") {
            self = .unix(path: try Self.unixPath(text.dropFirst(5)))
            return
        }
        guard text.utf8.last != UInt8(ascii: "]"), let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else {
            throw .noPort
        }
        self = .tcp(try Host(text[..<colon]), port: try Self.port(text[text.utf8.index(after: colon)...]))
    }

    /// Whether one can connect to it: it names a host, and its port is not 0.
    package var canBeConnectedTo: Bool {
        switch self {
        case .tcp(.any, _), .tcp(_, 0): false
        default: true
        }
    }

    private static func unixPath(_ path: Substring) throws(AddressError) -> String {
        guard path.utf8.first == UInt8(ascii: "/"), !path.utf8.contains(0) else { throw .pathNotAbsolute }
        guard path.utf8.count <= unixPathLimit else { throw .pathTooLong }
        return String(path)
    }

    private static func port(_ text: Substring) throws(AddressError) -> UInt16 {
        // `UInt16("+80")` would pass: digits only.
        guard !text.isEmpty, text.utf8.allSatisfy(\.isDigit), let port = UInt16(text) else { throw .badPort }
        return port
    }
}

extension Address.Host {
    fileprivate init(_ text: Substring) throws(AddressError) {
        if text.isEmpty {
            self = .any
        } else if text.utf8.first == UInt8(ascii: "[") {
            guard text.utf8.last == UInt8(ascii: "]") else { throw .badIPv6 }
            let parts = text.dropFirst().dropLast().split(
                separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
            guard let first = parts.first, let ip = IPAddress(first), case .v6(let high, _) = ip else { throw .badIPv6 }
            if parts.count == 1 {
                self = .ip(ip)
            } else {
                // Of an address that is not link-local the interface says nothing.
                guard high >> 54 == 0x3FA, Self.isZone(parts[1]) else { throw .badZone }
                self = .zoned(ip, zone: String(parts[1]))
            }
        } else if text.utf8.contains(UInt8(ascii: ":")) {
            throw .ipv6NeedsBrackets
        } else if let ip = IPAddress(text) {
            self = .ip(ip)
        } else {
            guard let name = HostName(text) else { throw .badHost }
            self = .name(name.text)
        }
    }

    /// Whether it can be an interface's name (at most 15 bytes, IFNAMSIZ and its NUL) or number.
    private static func isZone(_ text: Substring) -> Bool {
        1...15 ~= text.utf8.count && text != "." && text != ".."
            && text.utf8.allSatisfy { 0x21...0x7E ~= $0 && !"/:%[]".utf8.contains($0) }
    }
}

extension Address: CustomStringConvertible {
    /// The form that `init(_:)` reads.
    package var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(.any, let port): ":\(port)"
        case .tcp(.ip(let ip), let port): "\(Endpoint(ip, port: port))"
        case .tcp(.zoned(let ip, let zone), let port): "[\(ip)%\(zone)]:\(port)"
        case .tcp(.name(let name), let port): "\(name):\(port)"
        }
    }
}

extension UInt8 {
    var isDigit: Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= self }
    var isLetter: Bool { UInt8(ascii: "a")...UInt8(ascii: "z") ~= self | 0x20 }
    package var isLetterOrDigit: Bool { isDigit || isLetter }
}
