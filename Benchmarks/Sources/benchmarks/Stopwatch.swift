import Glibc

/// Time on the monotonic clock.
struct Stopwatch {
    private let start = Stopwatch.now

    /// Nanoseconds since it was made.
    var elapsed: Double { Double(Stopwatch.now - start) }

    private static var now: UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}
