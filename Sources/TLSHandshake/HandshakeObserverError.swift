/// Why an observed handshake yields no connection.
public enum HandshakeObserverError: Error, Sendable, Equatable {
    /// The handshake has not ended, or its hellos, secrets or Finished messages were not seen.
    case incomplete
    /// The bytes are not the records of a TLS handshake; the text says which field.
    case malformed(String)
    /// A record or message that may not come here; the text says which.
    case outOfPlace(String)
    /// More bytes than the limit without a handshake that ends.
    case tooLong
    /// The version agreed on is older than TLS 1.2 (the number on the wire).
    case unsupportedVersion(UInt16)
    /// The suite agreed on is not among the supported ones (the number on the wire).
    case unsupportedCipherSuite(UInt16)
    /// A record behind the handshake does not open under the key that the key log gave.
    case wrongSecret
    /// The peer asked for a key update that the library has not sent yet: let it write once more, then ask again.
    case keyUpdateOwed
    /// The last record ends inside a post-handshake message that the library has begun to read: give it more, then ask
    /// again.
    case insideMessage
}

extension HandshakeObserverError: CustomStringConvertible {
    /// One line for a log.
    public var description: String {
        switch self {
        case .incomplete: "the handshake is not complete, or part of it was not shown to the observer"
        case .malformed(let field): "the bytes are no TLS handshake (\(field))"
        case .outOfPlace(let what): "\(what) is out of place in a TLS handshake"
        case .tooLong: "the handshake is longer than allowed"
        case .unsupportedVersion(let version): "version 0x\(String(version, radix: 16)) is older than TLS 1.2"
        case .unsupportedCipherSuite(let suite):
            "suite 0x\(String(suite, radix: 16)) is not supported; allow ECDHE or "
                + "TLS 1.3 suites with AES-GCM or ChaCha20-Poly1305 only"
        case .wrongSecret: "a record does not open under the logged secret; the key log is of another connection"
        case .insideMessage: "the library is in the middle of a message; let it read once more first"
        case .keyUpdateOwed: "the library owes the peer a key update; let it write once more first"
        }
    }
}
