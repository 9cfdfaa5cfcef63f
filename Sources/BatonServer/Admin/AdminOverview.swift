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

/// Some of the connections in the workers, by worker and then by number.
struct ConnectionsPage: Encodable, Sendable {
    var total: Int
    var rows: [ConnectionRow]
    /// Where the next page begins; absent on the last.
    var next: ConnectionCursor?
    /// Whether every worker answered in time.
    var isComplete: Bool

    private enum CodingKeys: String, CodingKey {
        case total, rows, next
        case isComplete = "complete"
    }
}

/// A place in the list of connections: behind the connection with this number in this worker.
struct ConnectionCursor: Sendable, Hashable {
    var worker: Int
    var connection: UInt64

    init(worker: Int, connection: UInt64) {
        self.worker = worker
        self.connection = connection
    }

    /// Reads what `description` wrote.
    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let worker = Int(parts[0]), let connection = UInt64(parts[1]), worker >= 0 else {
            return nil
        }
        self.init(worker: worker, connection: connection)
    }
}

extension ConnectionCursor: CustomStringConvertible, Encodable {
    var description: String { "\(worker).\(connection)" }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
