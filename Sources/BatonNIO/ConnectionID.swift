internal import Synchronization

/// A number for a connection, good within this process.
public struct ConnectionID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Counts up from 1.
    public let rawValue: UInt64

    private static let last = Atomic<UInt64>(0)

    /// One not used before.
    static func next() -> ConnectionID {
        ConnectionID(rawValue: last.wrappingAdd(1, ordering: .relaxed).newValue)
    }

    /// The older is the less.
    public static func < (lhs: ConnectionID, rhs: ConnectionID) -> Bool { lhs.rawValue < rhs.rawValue }

    /// The number.
    public var description: String { String(rawValue) }
}
