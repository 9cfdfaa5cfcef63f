internal import CLinuxSockets
public import NIOCore
public import TLSHandshake
internal import TLSRecords

extension ConnectionHandler {
    /// Turns a plain connection to TLS: STARTTLS and the like. Plain bytes already written leave first.
    ///
    /// - Parameters:
    ///   - handshake: our side of it.
    ///   - received: bytes already read that belong to the handshake, such as a ClientHello that was looked at.
    /// - Throws: `alreadySecured`, or `closed`; the connection is as it was.
    ///
    /// What the application asked to read of the plain part it has had; plaintext waits until it asks again.
    public func startTLS(_ handshake: consuming Handshake, received: ByteBuffer? = nil) throws(ConnectionError) {
        guard phase == .plain else { throw ConnectionError(phase == .closed ? .closed : .alreadySecured) }
        guard closing == .no, !closesOutput else { throw ConnectionError(.closed) }
        received?.withUnsafeReadableBytes { handshake.receive($0.bytes) }
        while let buffer = self.received.popFirst() {
            buffer.withUnsafeReadableBytes { handshake.receive($0.bytes) }
        }
        isReadWanted = false
        self.handshake = consume handshake
        phase = .handshaking
        if isActive { beginHandshake() }
    }

    /// The channel is connected.
    func activate(_ context: ChannelHandlerContext) {
        guard !isActive else { return }
        isActive = true
        noteBasePosition(context)
        switch phase {
        case .handshaking: beginHandshake()
        case .established, .plain:
            if closing == .writing { limitClosing() }
            drain()
        case .failed, .detached, .closed: break
        }
    }

    /// Bytes the channel still has from others come before ours.
    private func noteBasePosition(_ context: ChannelHandlerContext) {
        var position: UInt64 = 0
        guard let descriptor = try? descriptor(context), baton_write_position(descriptor, &position) == 0 else {
            return
        }
        basePosition = position &+ UInt64(max(0, bufferedByteCount(context)))
    }

    private func beginHandshake() {
        if let limit = options.handshakeTimeout {
            startTimer(limit) { $0.fail(ConnectionError(.handshakeTimedOut)) }
        }
        advanceHandshake()
    }

    func advanceHandshake() {
        guard phase == .handshaking else { return }
        do {
            guard try handshake?.advance() == .established else {
                drain()
                guard phase == .handshaking else { return }
                // Nothing comes behind the peer's FIN.
                if isInputEnded { try handshake?.receiveEnd() }
                // The application may not want to read; the handshake does.
                context?.read()
                return
            }
            try establish()
        } catch {
            fail(error)
        }
    }

    private func establish() throws(HandshakeError) {
        clientSession = try handshake?.clientSession()
        connection = try handshake.take()?.connection()
        phase = .established
        stopTimer()
        if let info { context?.fireUserInboundEventTriggered(ConnectionEvent.established(info)) }
        sealWaiting()
        drain()
        pump()
    }

    /// What was written during the handshake.
    private func sealWaiting() {
        while phase == .established, let waiting = unsealed.popFirst() {
            unsealedCount -= waiting.bytes.readableBytes
            seal(waiting.bytes, waiting.promise)
        }
        if phase == .established, closesOutput { connection?.close() }
    }

    /// Ends the connection for a reason of the peer's or of its own. A fatal alert that is due is written before the
    /// socket closes (RFC 8446 section 6.2). Where none is due, because the peer has cut the connection off or has sent
    /// an alert itself, the connection is reset: it must not end as if it were whole.
    func fail(_ error: any Error) {
        let saysWhy: Bool
        switch phase {
        case .failed, .detached, .closed: return
        case .plain, .handshaking: saysWhy = true
        case .established:
            let error = error as? TLSError
            saysWhy = error?.code != .peerAlert && error?.alert != nil
        }
        phase = .failed
        stopTimer()
        failWrites(error)
        context?.fireErrorCaught(error)
        if saysWhy { beginClosing(nil) } else { reset() }
    }

    // MARK: Time limits

    func startTimer(_ limit: TimeAmount, _ body: @escaping (ConnectionHandler) -> Void) {
        stopTimer()
        guard let context else { return }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let action = NIOLoopBound(body, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: limit) { action.value(handler.value) }
    }

    func stopTimer() {
        timer?.cancel()
        timer = nil
    }
}
