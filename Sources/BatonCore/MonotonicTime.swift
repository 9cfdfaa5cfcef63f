internal import Libc

/// CLOCK_MONOTONIC in nanoseconds: one clock for all processes of a machine.
package enum MonotonicTime {
    package static var now: UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(max(0, now.tv_sec)) &* 1_000_000_000 &+ UInt64(max(0, now.tv_nsec))
    }
}
