internal import Libc

/// CLOCK_REALTIME in milliseconds since 1970.
package enum WallClock {
    package static var milliseconds: UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(max(0, now.tv_sec)) &* 1_000 &+ UInt64(max(0, now.tv_nsec)) / 1_000_000
    }
}
