/// What there is to show of a live connection. It holds no secret. Names come from the peer.
struct ConnectionRow: Codable, Sendable, Equatable {
    /// The worker's number for it; a connection that has moved has another.
    var id: UInt64
    /// What all logs call it, wherever it moves.
    var connection: String?
    /// Its place in the server: set by the front, which knows its workers.
    var worker: Int?
    var pid: Int32?
    var peer: String?
    var listener: String?
    /// SNI.
    var serverName: String?
    /// ALPN.
    var protocolName: String?
    /// `nil` without TLS.
    var version: String?
    var cipher: String?
    /// Milliseconds since it was accepted.
    var age: UInt64?
    /// When that was, in milliseconds since 1970.
    var acceptedAt: UInt64?
    /// Bytes on the wire from the client and to it, where the engine serves it.
    var received: UInt64?
    var sent: UInt64?
    var moves: UInt32
    var target: String

    private enum CodingKeys: String, CodingKey {
        case id, connection, worker, pid, peer, listener, version, cipher, moves, target, received, sent
        case serverName = "server_name"
        case protocolName = "alpn"
        case age = "age_ms"
        case acceptedAt = "accepted_at_ms"
    }
}

/// A move that has ended: when, on CLOCK_MONOTONIC, and how long the connection stood still, both in nanoseconds.
struct RecentPause: Codable, Sendable, Equatable {
    var endedAt: UInt64
    var duration: UInt64
}

/// The front asks a worker what it has.
struct ListingRequest: Codable, Sendable {
    /// Comes back in the answer.
    var id: UInt64
    /// Connections with greater numbers than this.
    var after: UInt64
    /// The most rows.
    var limit: Int
    /// `nil`: all, in the order of their numbers.
    var selection: ConnectionSelection?
    /// Of a selection, those behind this place; `nil`: from the first.
    var place: ConnectionCursor?
}

/// A worker's answer.
struct Listing: Codable, Sendable {
    var id: UInt64
    /// In the order of their numbers.
    var rows: [ConnectionRow]
    /// Whether there are more behind the last.
    var hasMore: Bool
    /// The last moves to this worker.
    var pauses: [RecentPause]
    /// How many the selection takes, before its place, too; `nil` without one, and from a version that knows of none.
    var matched: Int?
}
