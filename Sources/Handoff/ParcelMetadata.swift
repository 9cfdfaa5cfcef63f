/// What is known of a connection beside TLS and the application's own state.
public struct ParcelMetadata: Sendable, Hashable {
    /// How often the connection has changed its owner.
    public var moves: UInt32 = 0

    /// When it was accepted or made, in milliseconds since 1970.
    public var acceptedAt: UInt64?

    /// The listener it came in by; at most 255 bytes.
    public var listener: String?

    /// What else its owners tell each other, by name. Names have 1 to 255 bytes, values up to 65,535, and there are
    /// at most 64.
    public var annotations: [String: [UInt8]] = [:]

    /// Nothing known.
    public init() {}

    /// Whether it keeps to the limits, so that it can be written.
    public var isEncodable: Bool {
        (listener?.utf8.count ?? 0) <= 255 && annotations.count <= Self.maxAnnotations
            && annotations.allSatisfy { (1...255).contains($0.key.utf8.count) && $0.value.count <= 65_535 }
    }

    package static let maxAnnotations = 64
}
