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
        startTimer(options.closeTimeout) { $0.cutOff() }
        drain()
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
        if isInputEnded || connection?.isReadClosed == true {
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

    /// Closes the socket, whatever waits.
    func cutOff() {
        stopTimer()
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
        received = []
        if let registeredID { registration?.remove(registeredID) }
        failWrites(error)
        let waiting = closePromises
        closePromises = []
        for promise in waiting { promise.succeed() }
    }
}
