/// What a worker says to the front.
enum WorkerMessage: Codable, Sendable {
    /// It listens for parcels.
    case ready
    /// It cannot start, for this reason.
    case failed(String)
    /// Its counts have changed.
    case report(WorkerReport)
    /// How an offer to the migration process ended, and how many connections this sweep has not asked for.
    case migrated(sweep: UInt64, handedOver: Int, returned: Int, left: Int)
    /// It was asked to stop by somebody else than the front.
    case leaving
}

/// What a worker counts.
struct WorkerReport: Codable, Sendable, Equatable {
    var connections = 0
    var movesIn = 0
    var movesOut = 0
    var movesFailed = 0
    /// Moves to and from other hosts. Only a front has some.
    var migrations = 0
    var pauses = PauseHistogram()
}
