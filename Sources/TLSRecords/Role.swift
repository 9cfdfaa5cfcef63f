/// Which side of the TLS handshake this process took.
public enum Role: UInt8, Sendable {
    /// This side sent the ClientHello.
    case client = 1
    /// This side sent the ServerHello.
    case server = 2
}
