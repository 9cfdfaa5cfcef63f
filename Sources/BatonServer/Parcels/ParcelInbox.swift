internal import BatonNIO
internal import Handoff
internal import Logging
internal import Synchronization

/// Listens for parcels and takes them from any number of owners, on a thread of its own: what it does is short, and must
/// not wait for an event loop that is busy with bytes.
final class ParcelInbox: Sendable {
    private let receiver: HandoffReceiver
    private let stopped = Mutex<(@Sendable () -> Void)?>(nil)

    /// Listens at `path`.
    ///
    /// - Parameters:
    ///   - decide: whether a parcel is wanted; called on the inbox's thread.
    ///   - received: connections that are this process's now; called on the inbox's thread.
    init(
        at path: String, decide: @escaping @Sendable (borrowing Parcel) -> Verdict,
        received: @escaping @Sendable ([DetachedConnection]) -> Void
    ) throws {
        receiver = try HandoffReceiver(
            listener: try HandoffListener(at: path), options: .init(), logger: Logger(label: "baton.inbox"),
            decide: decide, take: received)
    }

    /// Begins to receive.
    func start() {
        startThread("baton-inbox") { [self] in
            receiver.run()
            stopped.withLock { $0.take() }?()
        }
    }

    /// Receives no more, as soon as every offer that was accepted has been committed or taken back: its owner may have
    /// sent the commit already, and then the connection is this process's alone. What is offered meanwhile is declined.
    ///
    /// - Parameter stopped: called on the inbox's thread, after the last call of `received`.
    func stop(_ stopped: @escaping @Sendable () -> Void) {
        self.stopped.withLock { $0 = stopped }
        receiver.stop()
    }
}
