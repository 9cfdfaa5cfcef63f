/// What a worker says to the front.
enum WorkerMessage: Codable, Sendable {
    /// It listens for parcels.
    case ready
    /// It knows so many other workers.
    case acquainted(Int)
    /// It cannot start, for this reason.
    case failed(String)
    /// Its counts have changed.
    case report(WorkerReport)
    /// It was asked to stop by somebody else than the front.
    case leaving
}

/// What a worker counts.
struct WorkerReport: Codable, Sendable, Equatable {
    var connections = 0
    var movesIn = 0
    var movesOut = 0
    var movesFailed = 0
    var pauses = PauseHistogram()
}
