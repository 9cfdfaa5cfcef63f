internal import Libc

/// When the service manager is told that the server lives (WatchdogSec=, sd_watchdog_enabled(3)): as long as the front answers.
/// Where none serves the keeper starts one, and is alive by that.
struct ServiceWatchdog: Equatable {
    /// What is due.
    struct Due: Equatable {
        var tells = false
        /// Whether the front is to be asked.
        var asks = false
    }

    /// Looks in the time within which the manager wants to hear something.
    private static let looks: UInt64 = 4
    /// Nanoseconds.
    private let interval: UInt64
    /// On the monotonic clock, in nanoseconds.
    private(set) var dueAt: UInt64
    /// The front that has been asked and has not answered, by its process.
    private var asked: UInt32?

    /// - Parameters:
    ///   - limit: within which the manager wants to hear something, in microseconds.
    ///   - now: on the monotonic clock, in nanoseconds.
    init(limit: UInt64, now: UInt64) {
        interval = max(1_000_000, limit.multipliedReportingOverflow(by: 1_000).partialValue / Self.looks)
        dueAt = now
    }

    /// As the manager has asked for it; `nil`: it has not.
    static func wanted(now: UInt64) -> ServiceWatchdog? {
        func number(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }
        let day: UInt64 = 86_400_000_000
        guard let limit = number("WATCHDOG_USEC"), limit > 0, limit <= day else { return nil }
        if let process = number("WATCHDOG_PID"), process != UInt64(UInt32(bitPattern: getpid())) { return nil }
        return ServiceWatchdog(limit: limit, now: now)
    }

    /// - Parameter front: that serves and can answer.
    mutating func look(now: UInt64, front: UInt32?) -> Due {
        guard now >= dueAt else { return Due() }
        dueAt = now + interval
        if let asked, asked == front { return Due() }
        asked = front
        return Due(tells: true, asks: front != nil)
    }

    mutating func answered(_ front: UInt32) {
        if asked == front { asked = nil }
    }
}
