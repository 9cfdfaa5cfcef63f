internal import BatonCore
internal import Libc

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
