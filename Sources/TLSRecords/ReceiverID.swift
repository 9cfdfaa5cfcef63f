/// One receiver, for as long as it lives. What is sealed for one receiver no other can open.
public struct ReceiverID: Hashable, Sendable {
    /// Length in bytes.
    public static let length = 16

    private let high: UInt64
    private let low: UInt64

    /// A new one; 128 random bits do not repeat.
    public static func random() -> ReceiverID {
        var generator = SystemRandomNumberGenerator()
        return ReceiverID(high: generator.next(), low: generator.next())
    }

    private init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads one; `nil` unless there are 16 bytes.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == ReceiverID.length else { return nil }
        high = bytes.loadUnaligned(as: UInt64.self)
        low = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    }

    /// Lends its 16 bytes.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try Swift.withUnsafeBytes(of: (high, low), body)
    }
}
