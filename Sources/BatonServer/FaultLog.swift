internal import BatonCore
internal import Logging
internal import Synchronization

/// Tells the operator of connections that TLS ended, and of handshakes that failed: one line each, but not more than a few in ten seconds for each reason.
final class FaultLog: Sendable {
    private let throttle = Mutex(LineThrottle<String>())

    /// - Parameter metadata: whose connection it was; made only for a line that is written.
    func say(
        _ fault: ConnectionFault, at level: Logger.Level, in log: Logger, _ metadata: @autoclosure () -> Logger.Metadata
    ) {
        let heldBack = throttle.withLock { $0.admit(fault.reason, now: MonotonicTime.now) }
        guard let heldBack else { return }
        var metadata = metadata()
        metadata["reason"] = "\(fault.text)"
        if let alert = fault.alert { metadata[fault.isAlertTheirs ? "alert-received" : "alert"] = "\(alert)" }
        if let section = fault.section { metadata["see"] = "\(section)" }
        if heldBack > 0 { metadata["unlogged"] = "\(heldBack)" }
        log.log(level: level, "\(fault.event)", metadata: metadata)
    }
}
