internal import BatonConfiguration

/// What the admin page shows, as JSON. Keys are added, never changed.
struct AdminOverview: Encodable, Sendable {
    var phase: String
    var status: StatusReport
    /// Connections the front has: in their handshake, or being routed.
    var handshaking: Int
    /// Finished handshakes of the server's whole life.
    var handshakes: Int
    var handshakeFailures: Int
    /// The last moves: how many milliseconds ago they ended, and their pause in microseconds.
    var pauses: [[Double]]
    var connections: ConnectionsPage

    private enum CodingKeys: String, CodingKey {
        case phase, status, handshaking, handshakes, pauses, connections
        case handshakeFailures = "handshake_failures"
    }
}
