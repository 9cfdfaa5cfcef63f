public import BatonCore

/// One direction of an established connection, as it is at one instant.
public struct DirectionState: ~Copyable, Sendable {
    /// TLS 1.3: the current traffic secret. TLS 1.2: the write key, then its implicit nonce (4 bytes for AES-GCM, RFC
    /// 5288; 12 for ChaCha20-Poly1305, RFC 7905).
    public var secret: SecretBytes

    /// The sequence number of the next record under this key.
    public var sequence: UInt64

    /// TLS 1.2 with AES-GCM: the explicit nonce of the next record to be sent. It need not equal the sequence number.
    public var explicitNonce: UInt64

    /// How many 16-byte blocks this key has protected, against the limit of RFC 8446 section 5.5.
    public var blocks: UInt64

    /// The state of a direction whose next record has number `sequence`.
    public init(secret: consuming SecretBytes, sequence: UInt64 = 0, explicitNonce: UInt64 = 0, blocks: UInt64 = 0) {
        self.secret = secret
        self.sequence = sequence
        self.explicitNonce = explicitNonce
        self.blocks = blocks
    }

    /// The length `secret` must have for `suite`.
    package static func secretLength(_ suite: CipherSuite) -> Int {
        switch suite.version {
        case .tls13: suite.hash.length
        case .tls12: suite.aead.keyLength + suite.aead.tls12ImplicitNonceLength
        }
    }
}
