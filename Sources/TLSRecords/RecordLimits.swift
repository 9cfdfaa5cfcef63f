/// The sizes and counts a connection keeps to.
public struct RecordLimits: Sendable, Equatable {
    /// The longest inner plaintext we may send, in bytes, as the peer limited it (RFC 8449 section 4): in TLS 1.3 it
    /// counts the content type. 64 to 16,385 (TLS 1.3) or 16,384 (TLS 1.2).
    public var sending: Int

    /// The longest inner plaintext we take, in bytes, counted the same way.
    public var receiving: Int

    /// How many 16-byte blocks one key may protect before a key update (TLS 1.3) or the end (TLS 1.2, which has no key
    /// update). `nil` means the AEAD's own limit (RFC 8446 section 5.5).
    public var blocksPerKey: UInt64?

    /// The limits of a version where nothing smaller was agreed on.
    public init(_ version: TLSVersion, blocksPerKey: UInt64? = nil) {
        let largest = RecordLimits.largest(version)
        self.init(sending: largest, receiving: largest, blocksPerKey: blocksPerKey)
    }

    /// Limits that were negotiated.
    public init(sending: Int, receiving: Int, blocksPerKey: UInt64? = nil) {
        self.sending = sending
        self.receiving = receiving
        self.blocksPerKey = blocksPerKey
    }

    /// 2^14 bytes of content, and in TLS 1.3 the content type.
    package static func largest(_ version: TLSVersion) -> Int { version == .tls13 ? 16_385 : 16_384 }

    /// The smallest limit RFC 8449 section 4 allows.
    package static let smallest = 64

    package func areValid(_ version: TLSVersion) -> Bool {
        let range = RecordLimits.smallest...RecordLimits.largest(version)
        return range.contains(sending) && range.contains(receiving)
    }

    /// The most content one record we send may carry.
    package func contentLimit(_ version: TLSVersion) -> Int { version == .tls13 ? sending - 1 : sending }
}
