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
    /// By what the server's certificate is signed.
    case certificateSignature = "cert-sig"
    /// The kind of the server's key.
    case certificateKey = "cert-key"
    /// The client's certificate itself.
    case clientCertificate = "client-cert"
    /// The alternative names in the client's certificate.
    case clientNames = "client-names"

    /// What is told unless something else is asked for: what receivers with little room for a header have room for.
    package static let standard: [ProxyProtocolExtension] = [.alpn, .authority, .ssl, .uniqueID]
    /// What only the process knows that has made the handshake.
    package static let ofCertificates: Set<ProxyProtocolExtension> = [
        .certificateSignature, .certificateKey, .clientCertificate, .clientNames,
    ]
}
