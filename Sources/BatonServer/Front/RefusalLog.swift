internal import BatonCore
internal import Logging
internal import Synchronization

/// Says that connections are refused for a reason that strangers can bring about as often as they like: one line at most
/// every ten seconds for each reason, with how many there were since the last.
final class RefusalLog: Sendable {
    private let throttle = Mutex(LineThrottle<RefusalReason>(most: 1))

    /// - Parameter metadata: made only for a line that is written.
    func say(_ reason: RefusalReason, _ why: String, _ log: Logger, _ metadata: @autoclosure () -> Logger.Metadata) {
        let heldBack = throttle.withLock { $0.admit(reason, now: MonotonicTime.now) }
        guard let heldBack else { return }
        let count = heldBack + 1
        var metadata = metadata()
        metadata["reason"] = "\(why)"
        if count > 1 { metadata["count"] = "\(count)" }
        log.warning(count > 1 ? "connections are refused" : "a connection is refused", metadata: metadata)
    }
}
