internal import Handoff
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

    /// Whether it cannot be moved now, but perhaps later.
    var isUnready: Bool {
        switch layer.phase {
        case .handshaking: true
        case .plain, .established:
            // One that has just come may not be in its channel yet.
            ending.isMovable && (!isActive || isBusy || inbound.returnedCount > Parcel.maxUnread)
        case .failed, .detached, .closed: false
        }
    }

    /// Tells those who hold the connection, once, that it is to be taken out.
    func askForRelease() {
        guard isBusy, !isWanted else { return }
        isWanted = true
        context?.fireUserInboundEventTriggered(ConnectionEvent.wanted)
    }

    /// A future that is fulfilled when nobody holds the connection any more, or the time is over.
    func whenIdle(within limit: TimeAmount, on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        guard isBusy else { return eventLoop.makeSucceededVoidFuture() }
        let promise = eventLoop.makePromise(of: Void.self)
        lastWaiter &+= 1
        let number = lastWaiter
        idleWaiters[number] = promise
        let handler = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: limit) { handler.value.idleWaiters.removeValue(forKey: number)?.succeed() }
        return promise.futureResult
    }

    func endHold() {
        holdCount -= 1
        guard !isBusy else { return }
        isWanted = false
        guard let context else { return }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        // Who releases a hold may have something to do before the connection leaves.
        context.eventLoop.execute {
            guard !handler.value.isBusy else { return }
            handler.value.tellIdle()
            handler.value.tellRegistry()
        }
    }

    func tellIdle() {
        let waiting = idleWaiters
        idleWaiters = [:]
        for promise in waiting.values { promise.succeed() }
    }
}
