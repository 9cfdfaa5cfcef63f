internal import NIOCore
internal import Synchronization

/// Says that a connection must not be moved at this moment: a request is in flight, an answer half made. It counts until it is
/// released, or until nobody has it any more.
///
/// ```swift
/// let hold = try context.pipeline.syncOperations.connectionHandler().hold()
/// // the request is answered, on any thread
/// hold.release()
/// ```
public final class ConnectionHold: Sendable {
    private let eventLoop: any EventLoop
    private let handler: NIOLoopBound<ConnectionHandler>
    private let isReleased = Atomic<Bool>(false)

    init(_ handler: ConnectionHandler, _ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.handler = NIOLoopBound(handler, eventLoop: eventLoop)
    }

    deinit { release() }

    /// Lets the connection move again, as far as this hold is concerned. May be called from any thread, and more than once.
    public func release() {
        guard !isReleased.exchange(true, ordering: .relaxed) else { return }
        let handler = handler
        if eventLoop.inEventLoop {
            handler.value.endHold()
        } else {
            eventLoop.execute { handler.value.endHold() }
        }
    }
}

extension ConnectionHandler {
    /// Keeps the connection here until the hold is released: `detach` throws `busy` meanwhile, and `SuccessionService` waits
    /// for it. Any number may be held at a time.
    ///
    /// - Throws: `noConnection` if the handler is in no channel.
    public func hold() throws(ConnectionError) -> ConnectionHold {
        guard let context else { throw ConnectionError(.noConnection) }
        holdCount += 1
        return ConnectionHold(self, context.eventLoop)
    }

    /// Whether somebody holds the connection here.
    public var isBusy: Bool { holdCount > 0 }

    func endHold() {
        holdCount -= 1
        if !isBusy { tellIdle() }
    }

    func tellIdle() {
        let waiting = idlePromises
        idlePromises = []
        for promise in waiting { promise.succeed() }
    }
}
