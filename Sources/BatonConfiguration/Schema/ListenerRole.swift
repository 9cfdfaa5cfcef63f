/// Who begins the TLS handshake on accepted connections.
package enum ListenerRole: String, Hashable, Sendable, CaseIterable {
    /// The peer, as a TLS client.
    case server
    /// This side: the peer that connected is the TLS server.
    case client
    /// Whoever speaks first.
    case detect
}
