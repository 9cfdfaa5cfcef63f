internal import BatonConfiguration

/// What a worker says to the front.
enum WorkerMessage: Codable, Sendable {
    /// It listens for parcels.
    case ready
    /// It knows so many other workers.
    case acquainted(Int)
    /// It has taken the configuration of this turn, or, for this reason, has kept the one it had.
    case reconfigured(UInt64, failed: String? = nil)
    /// It cannot start, for this reason.
    case failed(String)
    /// How many connections more or fewer it has of a source, which is an address, or nothing for Unix sockets, and
    /// which of the front's placements are among them. Comes before the report that counts them.
    case sources([String: Int], placed: [UInt64])
    /// The answer to `beat`.
    case beat
    /// Its counts have changed.
    case report(WorkerReport)
    /// The answer to `list`.
    case listing(Listing)
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
    /// Moves that failed, by reason.
    var failures: [String: Int] = [:]
    /// Connections closed before they had a target, by reason.
    var refusals: [String: Int] = [:]
    /// Connections that TLS ended, by reason.
    var faults: [String: Int] = [:]
    /// Connections closed because nothing had passed for too long.
    var idleClosed = 0
    /// Connections that a worker has left that died, and that went on here.
    var inherited = 0
    /// Connections of such workers that could not go on, by reason.
    var lost: [String: Int] = [:]
    /// Moves to and from other hosts. Only a front has some.
    var migrations = 0
    var pauses = PauseHistogram()
    /// Lines of its log that could not be written.
    var droppedLogLines = 0

    init() {}

    /// An older version's report has fewer counts.
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        connections = try container.decode(Int.self, forKey: .connections)
        movesIn = try container.decode(Int.self, forKey: .movesIn)
        movesOut = try container.decode(Int.self, forKey: .movesOut)
        movesFailed = try container.decode(Int.self, forKey: .movesFailed)
        failures = try container.decodeIfPresent([String: Int].self, forKey: .failures) ?? [:]
        refusals = try container.decodeIfPresent([String: Int].self, forKey: .refusals) ?? [:]
        faults = try container.decodeIfPresent([String: Int].self, forKey: .faults) ?? [:]
        idleClosed = try container.decodeIfPresent(Int.self, forKey: .idleClosed) ?? 0
        migrations = try container.decodeIfPresent(Int.self, forKey: .migrations) ?? 0
        inherited = try container.decodeIfPresent(Int.self, forKey: .inherited) ?? 0
        lost = try container.decodeIfPresent([String: Int].self, forKey: .lost) ?? [:]
        pauses = try container.decode(PauseHistogram.self, forKey: .pauses)
        droppedLogLines = try container.decodeIfPresent(Int.self, forKey: .droppedLogLines) ?? 0
    }
}
