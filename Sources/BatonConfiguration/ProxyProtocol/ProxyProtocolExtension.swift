/// An extension of the PROXY protocol, version 2, that an upstream can be told.
package enum ProxyProtocolExtension: String, Hashable, Sendable, CaseIterable {
    /// The protocol agreed on by ALPN.
    case alpn
    /// The server name that the client asked for.
    case authority
    /// The client's TLS version, cipher and certificate.
    case ssl
    /// The unique ID that a load balancer in front has given to the connection.
    case uniqueID = "unique-id"
}
