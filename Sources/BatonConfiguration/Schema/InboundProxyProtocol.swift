/// The PROXY protocol versions that a listener accepts.
package enum InboundProxyProtocol: String, Hashable, Sendable, CaseIterable {
    /// No header is expected.
    case off
    /// Version 1 only.
    case v1
    /// Version 2 only.
    case v2
    /// Either.
    case any

    /// The versions, for `ProxyProtocolHeader.read`; empty: none is expected.
    package var versions: Set<ProxyProtocolHeader.Version> {
        switch self {
        case .off: []
        case .v1: [.v1]
        case .v2: [.v2]
        case .any: [.v1, .v2]
        }
    }
}
