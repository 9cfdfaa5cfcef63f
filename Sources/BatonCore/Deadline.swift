/// A moment on the monotonic clock at which waiting ends. Setting the wall clock does not move it.
public struct Deadline: Sendable, Hashable, Comparable {
    /// CLOCK_MONOTONIC, in nanoseconds.
    package let nanoseconds: UInt64

    /// `duration` from now; at once if it is negative.
    public static func after(_ duration: Duration) -> Deadline {
        let (moment, overflow) = MonotonicTime.now.addingReportingOverflow(duration.nanoseconds)
        return overflow ? .never : Deadline(nanoseconds: moment)
    }

    /// A moment that has passed: look, but do not wait.
    public static let immediate = Deadline(nanoseconds: 0)

    /// Waiting does not end.
    package static let never = Deadline(nanoseconds: .max)

    /// Whether it is now or past.
    public var hasPassed: Bool { MonotonicTime.now >= nanoseconds }

    /// Time left, in milliseconds, rounded up, at least 0.
    public var remainingMilliseconds: UInt64 {
        let now = MonotonicTime.now
        guard nanoseconds > now else { return 0 }
        let left = nanoseconds - now
        return left / 1_000_000 + (left % 1_000_000 == 0 ? 0 : 1)
    }

    /// For poll(2): capped at a minute, because callers look at the clock again anyway.
    package var pollTimeout: Int32 { Int32(min(remainingMilliseconds, 60_000)) }

    /// Whether `lhs` comes first.
    public static func < (lhs: Deadline, rhs: Deadline) -> Bool { lhs.nanoseconds < rhs.nanoseconds }
}
