/// Why the first bytes of a connection are not an acceptable PROXY protocol header. The sender is at fault, or the
/// listener expects a header that nobody in front of it sends.
package enum ProxyProtocolError: Error, Hashable, Sendable {
    /// The bytes begin no header of an accepted version.
    case notProxyProtocol
    /// The header breaks the specification.
    case malformed
    /// The header is longer than the specification or the limit allows.
    case tooLong
}

extension ProxyProtocolError: CustomStringConvertible {
    /// What happened and what to do.
    package var description: String {
        switch self {
        case .notProxyProtocol:
            "the connection does not begin with an accepted PROXY protocol header; "
                + "let the load balancer send one, or set proxy-protocol: off"
        case .malformed: "the PROXY protocol header is malformed; check the load balancer in front"
        case .tooLong: "the PROXY protocol header is too long; raise limits.header-size or send fewer extensions"
        }
    }
}
