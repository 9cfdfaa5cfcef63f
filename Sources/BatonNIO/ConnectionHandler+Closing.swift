internal import CLinuxSockets
internal import Libc
public import NIOCore
internal import TLSRecords

extension ConnectionHandler {
    /// Handler of the pipeline; not to be called.
    ///
    /// `.output` sends close_notify (plain connections: FIN) behind what was written, and goes on reading. `.all` also
    /// waits, at most `ConnectionOptions.closeTimeout`, until everything is written and the peer has ended: a socket
    /// closed with unread bytes in it resets the connection, and the peer may lose what we wrote last.
    public func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch (layer.phase, mode) {
        case (.detached, _), (.closed, _): context.close(mode: mode, promise: promise)
        case (_, .all):
            outbound.waitForClose(promise)
            close(.close)
        case (_, .output):
            guard !layer.isWriteClosed else {
                promise?.fail(ChannelError.outputClosed)
                return
            }
            close(.closeOutput(peerHasEnded: inbound.hasToldEnd), promise)
        case (_, .input): promise?.fail(ChannelError.operationUnsupported)
        }
    }

    /// Breaks the connection off: no close_notify, and TCP's RST rather than its FIN, so that the peer cannot take what it
    /// has for the whole (RFC 8446 section 6.1). What was written before is delivered first; a peer that takes nothing of
    /// it for `ConnectionOptions.closeTimeout` does not get the rest. Nothing is read any more.
    ///
    /// A Unix socket has no reset: its peer sees the end of the stream.
    ///
    /// - Parameter discarding: whether it is done at once, and what waits is thrown away.
    public func reset(discarding: Bool = false) { close(.reset(discarding: discarding)) }

    /// Tells the close sequence what has happened, and does what it asks for.
    ///
    /// - Parameter promise: of the application's, for the end of the output.
    func close(_ event: CloseSequence.Event, _ promise: EventLoopPromise<Void>? = nil) {
        guard !layer.isGone else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        let situation = CloseSequence.Situation(
            isActive: isActive, isPlain: layer.phase == .plain, hasPending: hasPending,
            hasPeerEnded: inbound.isEnded || layer.isReadClosed)
        for action in ending.handle(event, situation) { perform(action, promise) }
    }

    private func perform(_ action: CloseSequence.Action, _ promise: EventLoopPromise<Void>?) {
        switch action {
        case .refuse: promise?.fail(ChannelError.outputClosed)
        case .endOutput: endOutput(promise)
        case .abandonHandshake:
            guard layer.phase == .handshaking else { return }
            layer.fail()
            failWrites(ChannelError.ioOnClosedChannel)
        case .limitTime: limitClosing()
        case .write: writeWaiting()
        case .sendFIN:
            outbound.handOverFIN()
            context?.close(mode: .output, promise: nil)
        case .read: context?.read()
        case .countUnacknowledged(let delay): countUnacknowledged(after: delay)
        case .cutOff(let reset): cutOff(reset: reset)
        }
    }

    private func endOutput(_ promise: EventLoopPromise<Void>?) {
        if layer.phase == .handshaking, !ending.isClosing {
            outbound.holdEnd(promise)
        } else {
            layer.closeOutput()
            outbound.wait(promise, outgoing: layer.outgoingCount)
        }
    }

    /// Cuts off a peer that takes nothing for `closeTimeout`, or lets its own end be waited for as long.
    private func limitClosing() {
        let before = remainingCount
        startTimer(options.closeTimeout) { $0.close(.timeLimit(before: before, left: $0.remainingCount)) }
    }

    /// Bytes that the peer is not known to have.
    private var remainingCount: Int { pendingByteCount + unacknowledgedCount }

    /// Bytes that the kernel has, and the peer has not acknowledged.
    private var unacknowledgedCount: Int {
        guard let context, let descriptor = try? descriptor(context) else { return 0 }
        return max(0, Int(baton_unacknowledged(descriptor)))
    }

    private func countUnacknowledged(after delay: TimeAmount?) {
        guard let delay, let context else {
            close(.unacknowledged(unacknowledgedCount))
            return
        }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: delay) {
            handler.value.close(.unacknowledged(handler.value.unacknowledgedCount))
        }
    }

    /// Closes the socket, whatever waits.
    private func cutOff(reset: Bool) {
        stopTimer()
        if reset, let context, let descriptor = try? descriptor(context) {
            var abort = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &abort, socklen_t(MemoryLayout<linger>.size))
        }
        context?.close(mode: .all, promise: nil)
        end(ChannelError.ioOnClosedChannel)
    }

    /// The channel is closed. Secrets are zeroed here.
    func end(_ error: any Error) {
        guard !layer.isGone else { return }
        layer.close()
        leave(error)
    }

    /// Lets go of everything, and tells those who wait.
    func leave(_ error: any Error) {
        stopTimer()
        layer.clear()
        outbound.dropBytes()
        inbound.dropBytes()
        unregister()
        failWrites(error)
        for promise in outbound.takeCloseTokens() { promise.succeed() }
        tellIdle()
    }
}
