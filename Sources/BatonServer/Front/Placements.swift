internal import BatonConfiguration
internal import BatonCore

/// Connections that were given to a worker and that it has not told of: they are counted against the limits until it has, or
/// has died. Whether it has one can stay in doubt, so none is counted for longer than `patience` on no more than that;
/// a worker that tells of one later counts it from then on.
///
/// No I/O, no clock: moments are on the monotonic clock in nanoseconds.
struct Placements {
    /// Twice as long as a connection that nobody takes is offered to workers.
    static let patience: UInt64 = 60_000_000_000

    /// Sources and moments, by the numbers of the placements.
    private var awaited: [UInt64: (source: IPAddress?, since: UInt64)] = [:]

    var count: Int { awaited.count }
    var isEmpty: Bool { awaited.isEmpty }

    /// A connection is given.
    mutating func add(_ number: UInt64, from source: IPAddress?, at now: UInt64) { awaited[number] = (source, now) }

    /// It has arrived, or come back. Its source; `nil` if it is not awaited, or not any more.
    mutating func remove(_ number: UInt64) -> IPAddress?? { awaited.removeValue(forKey: number).map(\.source) }

    /// The sources of those that are awaited no more, because it has been too long.
    mutating func removeOverdue(at now: UInt64) -> [IPAddress?] {
        let overdue = awaited.filter { now >= $0.value.since && now - $0.value.since >= Self.patience }
        for number in overdue.keys { awaited[number] = nil }
        return overdue.values.map(\.source)
    }

    /// The worker has died. The sources of all.
    mutating func removeAll() -> [IPAddress?] {
        defer { awaited = [:] }
        return awaited.values.map(\.source)
    }
}
