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
    ///
    /// - Parameter waiting: connections that would be lost with it, if the access log tells of such.
    case sources([String: Int], placed: [UInt64], waiting: WaitingConnections? = nil)
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

/// Connections that end with their worker if that dies, because no upstream is connected yet: changes since this was told last.
/// The front keeps what the access log would say of them.
struct WaitingConnections: Codable, Sendable, Equatable {
    var come: [UInt64: AccessRecord] = [:]
    var gone: [UInt64] = []

    var isEmpty: Bool { come.isEmpty && gone.isEmpty }

    mutating func add(_ number: UInt64, _ record: AccessRecord) { come[number] = record }

    mutating func remove(_ number: UInt64) { if come.removeValue(forKey: number) == nil { gone.append(number) } }
}

/// Bytes that have passed, by listener and by upstream.
struct Traffic: Codable, Sendable, Equatable {
    var listeners: [String: ByteCounts] = [:]
    var upstreams: [String: ByteCounts] = [:]

    var isEmpty: Bool { listeners.isEmpty && upstreams.isEmpty }

    mutating func add(_ other: Traffic) {
        for (name, counts) in other.listeners { listeners.add(received: counts.received, sent: counts.sent, to: name) }
        for (name, counts) in other.upstreams { upstreams.add(received: counts.received, sent: counts.sent, to: name) }
    }
}

struct ByteCounts: Codable, Sendable, Equatable {
    var received: UInt64 = 0
    var sent: UInt64 = 0
}

extension [String: ByteCounts] {
    mutating func add(received: UInt64, sent: UInt64, to name: String) {
        guard received > 0 || sent > 0 else { return }
        self[name, default: ByteCounts()].received &+= received
        self[name, default: ByteCounts()].sent &+= sent
    }
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
    /// Lines of the access log that could not be.
    var droppedAccessLines = 0
    var traffic = Traffic()
    /// Connections now, by listener and by route.
    var listenerConnections: [String: Int] = [:]
    var routeConnections: [String: Int] = [:]
    /// Connections that were routed by their first request, by route.
    var routed: [String: Int] = [:]
    /// What stood in the way of connections to upstreams.
    var upstreamErrors: [String: [String: Int]] = [:]
    /// How long it took until an upstream was connected and ready, by upstream.
    var connectTimes: [String: PauseHistogram] = [:]
    /// Connections that have ended, by how, as the access log calls it.
    var ends: [String: Int] = [:]
    var openDescriptors = 0
    var maxDescriptors = 0
    /// Connections closed because they were older than their upstream's `max-lifetime`.
    var lifetimeClosed = 0
    /// The addresses of upstreams; `nil`: an older worker, which is not told of them.
    var upstreams: UpstreamNews?

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
        droppedAccessLines = try container.decodeIfPresent(Int.self, forKey: .droppedAccessLines) ?? 0
        traffic = try container.decodeIfPresent(Traffic.self, forKey: .traffic) ?? Traffic()
        listenerConnections = try container.decodeIfPresent([String: Int].self, forKey: .listenerConnections) ?? [:]
        routeConnections = try container.decodeIfPresent([String: Int].self, forKey: .routeConnections) ?? [:]
        routed = try container.decodeIfPresent([String: Int].self, forKey: .routed) ?? [:]
        upstreamErrors = try container.decodeIfPresent([String: [String: Int]].self, forKey: .upstreamErrors) ?? [:]
        connectTimes = try container.decodeIfPresent([String: PauseHistogram].self, forKey: .connectTimes) ?? [:]
        ends = try container.decodeIfPresent([String: Int].self, forKey: .ends) ?? [:]
        openDescriptors = try container.decodeIfPresent(Int.self, forKey: .openDescriptors) ?? 0
        maxDescriptors = try container.decodeIfPresent(Int.self, forKey: .maxDescriptors) ?? 0
        lifetimeClosed = try container.decodeIfPresent(Int.self, forKey: .lifetimeClosed) ?? 0
        upstreams = try container.decodeIfPresent(UpstreamNews.self, forKey: .upstreams)
    }
}
