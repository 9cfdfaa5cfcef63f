/// Why a text is not an address.
package enum AddressError: Error, Hashable, Sendable {
    /// No `:` stands before a port.
    case noPort
    /// The port is not a decimal number from 0 to 65535.
    case badPort
    /// The host is neither an IPv4 address nor a host name.
    case badHost
    /// What stands in brackets is not an IPv6 address.
    case badIPv6
    /// What follows the `%` of an IPv6 address is no interface, or the address is not link-local.
    case badZone
    /// An IPv6 address stands there without brackets, so that its end cannot be told from the port.
    case ipv6NeedsBrackets
    /// What follows `unix:` does not begin with `/`, or has a NUL in it.
    case pathNotAbsolute
    /// The path has more than 107 bytes.
    case pathTooLong
}

extension AddressError: CustomStringConvertible {
    /// What is wrong, in words that follow 'it'.
    package var description: String {
        switch self {
        case .noPort: "has no port (write HOST:PORT)"
        case .badPort: "has a port that is not a number from 0 to 65535"
        case .badHost: "has a host that is neither an IPv4 address nor a host name"
        case .badIPv6: "has something in brackets that is not an IPv6 address"
        case .badZone: "has a zone that is no interface, or at an address that is not link-local (fe80::/10)"
        case .ipv6NeedsBrackets: "has an IPv6 address without brackets (write [ADDRESS]:PORT)"
        case .pathNotAbsolute: "has a path that does not begin with /"
        case .pathTooLong: "has a path of more than \(Address.unixPathLimit) bytes"
        }
    }
}
