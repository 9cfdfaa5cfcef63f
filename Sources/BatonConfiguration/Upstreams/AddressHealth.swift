internal import BatonCore

/// Whether an address is left out because connections to it have failed.
///
/// No I/O, no clock: moments are on the monotonic clock in nanoseconds.
package struct EjectionState: Hashable, Sendable {
    /// The longest time an address is left out is so many times the first.
    static let maxGrowth: UInt64 = 8

    /// Failures in a row.
    private var failures = 0
    /// How often it was left out in a row.
    private var ejections = 0
    /// Until when it is left out; what is past has been.
    package private(set) var until: UInt64 = 0

    /// Nothing has failed.
    package init() {}

    /// Whether it is left out.
    package func isEjected(at now: UInt64) -> Bool { now < until }

    /// A connection could not be had.
    ///
    /// - Parameters:
    ///   - limit: so many in a row leave it out; `nil`: none does.
    ///   - time: for how long, for the first time.
    /// - Returns: whether it is left out from now on, and was not before.
    package mutating func failed(at now: UInt64, limit: Int?, time: Duration) -> Bool {
        guard let limit else {
            self = EjectionState()
            return false
        }
        failures = min(failures + 1, limit)
        // One that has been left out has to show that it can be used.
        guard !isEjected(at: now), failures >= limit || ejections > 0 else { return false }
        let growth = min(1 << UInt64(min(ejections, 8)), Self.maxGrowth)
        ejections += 1
        until = now &+ time.nanoseconds.multipliedReportingOverflow(by: growth).partialValue
        return true
    }

    /// A connection was had.
    ///
    /// - Returns: whether the address was left out, and is used again.
    package mutating func succeeded() -> Bool {
        defer { self = EjectionState() }
        return ejections > 0
    }
}

/// Whether an address is out because its checks say so.
package struct CheckState: Hashable, Sendable {
    /// What the checks say; `nil`: none has ended yet, and it is used.
    package private(set) var isUp: Bool?
    /// Results in a row against that.
    private var against = 0

    /// No check has ended.
    package init() {}

    /// A check has ended.
    ///
    /// - Parameters:
    ///   - isGood: how.
    ///   - rise: so many good ones bring it back.
    ///   - fall: so many bad ones take it out.
    /// - Returns: whether it goes up or down with this; not for a first check that is good.
    package mutating func ended(isGood: Bool, rise: Int, fall: Int) -> Bool {
        guard let isUp else {
            self.isUp = isGood
            return !isGood
        }
        guard isGood != isUp else {
            against = 0
            return false
        }
        against += 1
        guard against >= (isGood ? rise : fall) else { return false }
        self.isUp = isGood
        against = 0
        return true
    }
}

/// The share of an address that has come back, which grows to the whole.
package enum SlowStart {
    /// What it begins with. Less would have it wait for the first connection until it is over.
    static let least = 0.05

    /// The part of its weight that it has.
    ///
    /// - Parameters:
    ///   - moment: when it has come back, on the monotonic clock in nanoseconds; `nil`: it was never out.
    ///   - length: how long it grows; `nil`: it does not need to.
    package static func factor(since moment: UInt64?, at now: UInt64, over length: Duration?) -> Double {
        guard let moment, let length, length.nanoseconds > 0 else { return 1 }
        let passed = now > moment ? now - moment : 0
        return min(1, max(least, Double(passed) / Double(length.nanoseconds)))
    }
}
