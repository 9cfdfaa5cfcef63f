internal import Logging
internal import Synchronization

/// Says that connections are refused for a reason that strangers can bring about as often as they like: one line at most
/// every ten seconds for each reason, with how many there were since the last.
final class RefusalLog: Sendable {
    private static let interval: UInt64 = 10_000_000_000

    private struct Entry {
        var quietUntil: UInt64 = 0
        var unsaid = 0
    }

    private let entries = Mutex<[RefusalReason: Entry]>([:])

    /// - Parameter metadata: made only for a line that is written.
    func say(_ reason: RefusalReason, _ why: String, _ log: Logger, _ metadata: @autoclosure () -> Logger.Metadata) {
        let now = MonotonicTime.now
        let count = entries.withLock { entries -> Int? in
            var entry = entries[reason, default: Entry()]
            defer { entries[reason] = entry }
            guard now >= entry.quietUntil else {
                entry.unsaid += 1
                return nil
            }
            let count = entry.unsaid + 1
            entry = Entry(quietUntil: now + Self.interval)
            return count
        }
        guard let count else { return }
        var metadata = metadata()
        metadata["reason"] = "\(why)"
        if count > 1 { metadata["count"] = "\(count)" }
        log.warning(count > 1 ? "connections are refused" : "a connection is refused", metadata: metadata)
    }
}
