internal import BatonCore
internal import Glibc

/// The system's words for an `errno` value.
func errorText(_ code: Int32) -> String {
    String(cString: strerror(code))
}

extension HandoffError {
    /// For a call that returned the negated errno value `result`.
    static func system(_ what: String, _ result: Int32) -> HandoffError {
        HandoffError(.system, what, systemError: -result)
    }
}

/// Milliseconds since 1970, for the expiry of sealed bytes.
func wallClockMilliseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(max(0, now.tv_sec)) &* 1000 &+ UInt64(now.tv_nsec / 1_000_000)
}

/// Waits for `events` on `descriptor`. False when the time limit came first.
func wait(for events: Int16, on descriptor: Int32, until deadline: Deadline) throws(HandoffError) -> Bool {
    while true {
        var entry = pollfd(fd: descriptor, events: events, revents: 0)
        let ready = poll(&entry, 1, deadline.pollTimeout)
        if ready > 0 { return true }
        if ready < 0 && errno != EINTR { throw .system("poll failed", -errno) }
        if deadline.hasPassed { return false }
    }
}
