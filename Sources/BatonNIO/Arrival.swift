/// How a connection came into this process.
public enum Arrival: Sendable, Equatable {
    /// By a listener of this process.
    case accepted
    /// This process made it.
    case connected
    /// From another process, with the application's state for it.
    case received(applicationState: [UInt8])
    /// It was offered to another process and came back, with the state it was offered with.
    case returned(applicationState: [UInt8])

    /// The application's state that came with the connection; empty if none did.
    public var applicationState: [UInt8] {
        switch self {
        case .accepted, .connected: []
        case .received(let state), .returned(let state): state
        }
    }
}
