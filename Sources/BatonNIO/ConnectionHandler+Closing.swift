internal import CLinuxSockets
internal import Glibc
public import NIOCore
internal import TLSRecords

extension ConnectionHandler {
    /// Handler of the pipeline; not to be called.
    ///
    /// `.output` sends close_notify (plain connections: FIN) behind what was written, and goes on reading. `.all` also
    /// waits, at most `ConnectionOptions.closeTimeout`, until everything is written and the peer has ended: a socket
    /// closed with unread bytes in it resets the connection, and the peer may lose what we wrote last.
    public func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch (phase, mode) {
        case (.detached, _), (.closed, _): context.close(mode: mode, promise: promise)
        case (_, .all): beginClosing(promise)
        case (_, .output): closeOutput(promise)
        case (_, .input): promise?.fail(ChannelError.operationUnsupported)
        }
    }

    private func closeOutput(_ promise: EventLoopPromise<Void>?) {
        guard closing == .no, !isOutputClosed else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        closesOutput = true
        switch phase {
        case .established: connection?.close()
        case .plain, .handshaking, .failed, .detached, .closed: break
        }
        if let promise { promises.append((unconfirmed.handed + UInt64(plainCount + outgoingCount), promise)) }
        if hasToldInputClosed { beginClosing(nil) } else { drain() }
    }

    /// Breaks the connection off: no close_notify, and TCP's RST rather than its FIN, so that the peer cannot take what it
    /// has for the whole (RFC 8446 section 6.1). What was written before is delivered first; a peer that takes nothing of
    /// it for `ConnectionOptions.closeTimeout` does not get the rest. Nothing is read any more.
    ///
    /// A Unix socket has no reset: its peer sees the end of the stream.
    ///
    /// - Parameter discarding: whether it is done at once, and what waits is thrown away.
    public func reset(discarding: Bool = false) {
        switch phase {
        case .detached, .closed: return
        case .handshaking:
            phase = .failed
            failWrites(ChannelError.ioOnClosedChannel)
        case .plain, .established, .failed: break
        }
        let isNew = closing != .resetting
        closing = .resetting
        guard isActive, !discarding else {
            cutOff()
            return
        }
        guard isNew else { return }
        limitClosing()
        drain()
    }

    /// Ends the connection in order.
    func beginClosing(_ promise: EventLoopPromise<Void>?) {
        if let promise { closePromises.append(promise) }
        guard closing == .no else { return }
        closing = .writing
        switch phase {
        case .established: connection?.close()
        case .handshaking:
            phase = .failed
            failWrites(ChannelError.ioOnClosedChannel)
        case .plain, .failed, .detached, .closed: break
        }
        guard isActive else {
            cutOff()
            return
        }
        limitClosing()
        drain()
    }

    /// Cuts off a peer that has taken nothing for `closeTimeout`, or lets its own end be waited for as long.
    func limitClosing() {
        let left = remainingCount
        startTimer(options.closeTimeout) { handler in
            if handler.remainingCount < left { handler.limitClosing() } else { handler.cutOff() }
        }
    }

    /// Bytes that the peer is not known to have.
    private var remainingCount: Int { pendingByteCount + unacknowledgedCount }

    /// Bytes that the kernel has, and the peer has not acknowledged.
    private var unacknowledgedCount: Int {
        guard let context, let descriptor = try? descriptor(context) else { return 0 }
        return max(0, Int(baton_unacknowledged(descriptor)))
    }

    /// Everything is written.
    func drained() {
        if closing != .no {
            finishClosing()
        } else if closesOutput, phase == .plain, !hasClosedOutput {
            hasClosedOutput = true
            countsFIN = true
            context?.close(mode: .output, promise: nil)
        }
    }

    func finishClosing() {
        guard closing != .no, !hasPending, phase != .detached, phase != .closed, let context else { return }
        if closing == .resetting {
            cutOffWhenAcknowledged()
        } else if isInputEnded || connection?.isReadClosed == true {
            cutOff()
        } else if closing == .writing {
            closing = .lingering
            if !hasClosedOutput {
                hasClosedOutput = true
                countsFIN = true
                context.close(mode: .output, promise: nil)
            }
            context.read()
        }
    }

    /// RST overtakes what the kernel has not sent, and makes some systems throw away what they have not read.
    private func cutOffWhenAcknowledged(after delay: TimeAmount = .milliseconds(1)) {
        guard let context, unacknowledgedCount > 0 else {
            cutOff()
            return
        }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: delay) {
            guard handler.value.phase != .detached, handler.value.phase != .closed else { return }
            handler.value.cutOffWhenAcknowledged(after: min(delay * 2, .milliseconds(50)))
        }
    }

    /// Closes the socket, whatever waits: with RST, if the peer has not had all that was meant for it.
    func cutOff() {
        stopTimer()
        if closing == .resetting || hasPending, let context, let descriptor = try? descriptor(context) {
            var abort = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &abort, socklen_t(MemoryLayout<linger>.size))
        }
        context?.close(mode: .all, promise: nil)
        end(ChannelError.ioOnClosedChannel)
    }

    /// The channel is closed. Secrets are zeroed here.
    func end(_ error: any Error) {
        guard phase != .detached, phase != .closed else { return }
        phase = .closed
        leave(error)
    }

    /// Lets go of everything, and tells those who wait.
    func leave(_ error: any Error) {
        stopTimer()
        connection = nil
        handshake = nil
        plain = CircularBuffer()
        plainCount = 0
        unconfirmed = UnconfirmedWrites()
        received = CircularBuffer()
        if let registeredID { registration?.remove(registeredID) }
        failWrites(error)
        let waiting = closePromises
        closePromises = []
        for promise in waiting { promise.succeed() }
    }
}
