public import TLSRecords

/// Finds out which side of TLS an accepted TCP peer wants: one that speaks first is the TLS client, one that stays
/// silent until the time limit waits for our ClientHello.
///
/// A pure state machine: it has no clock and takes no bytes; the caller keeps them for the handshake.
public struct RoleDetector: Sendable {
    /// The time limit unless the configuration sets another, in seconds.
    public static let defaultTimeLimitSeconds = 5

    /// What happened on the connection.
    public enum Event: Sendable {
        /// The peer spoke; the first byte it sent is this.
        case received(first: UInt8)
        /// The time limit passed.
        case timeLimit
        /// The peer closed its side, or the connection broke.
        case closed
    }

    /// What the caller does next.
    public enum Action: Sendable, Equatable {
        /// Be this side of the handshake, with every byte already received. Stop the timer.
        case start(Role)
        /// The peer speaks first, but not TLS. Stop the timer; what follows is up to the route.
        case notTLS
        /// There is nobody to talk to. Stop the timer and close.
        case close
        /// The role is settled; this event came too late to matter.
        case ignore
    }

    private var isSettled = false

    /// Start the timer along with it.
    public init() {}

    /// Takes one event and says what to do.
    public mutating func handle(_ event: Event) -> Action {
        guard !isSettled else { return .ignore }
        isSettled = true
        switch event {
        case .received(let first):
            // Every TLS client begins with a handshake record, type 22.
            return first == 22 ? .start(.server) : .notTLS
        case .timeLimit: return .start(.client)
        case .closed: return .close
        }
    }
}
