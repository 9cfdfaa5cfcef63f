public import NIOCore
internal import NIOTLS
public import TLSHandshake
package import TLSRecords

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
        guard layer.phase == .plain else { throw ConnectionError(layer.phase == .closed ? .closed : .alreadySecured) }
        guard !ending.isClosing, ending.output == .open else { throw ConnectionError(.closed) }
        received?.withUnsafeReadableBytes { handshake.receive($0.bytes) }
        inbound.takeReturned()?.withUnsafeReadableBytes { handshake.receive($0.bytes) }
        while let buffer = inbound.popFirst() {
            buffer.withUnsafeReadableBytes { handshake.receive($0.bytes) }
        }
        inbound.forgetRead()
        layer.begin(handshake)
        if isActive { beginHandshake() }
    }

    func beginHandshake() {
        if let limit = options.handshakeTimeout {
            startTimer(limit) { $0.fail(ConnectionError(.handshakeTimedOut)) }
        }
        advanceHandshake()
    }

    func advanceHandshake() {
        guard layer.phase == .handshaking else { return }
        do {
            guard try layer.advanceHandshake() else {
                writeWaiting()
                guard layer.phase == .handshaking else { return }
                // Nothing comes behind the peer's FIN.
                if inbound.isEnded { try layer.endHandshakeInput() }
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
        (clientSession, handshakeFacts) = try layer.establish()
        stopTimer()
        if let info { context?.fireUserInboundEventTriggered(ConnectionEvent.established(info)) }
        tellHandshake()
        sealWaiting()
        writeWaiting()
        pump()
    }

    /// NIO's own event, for handlers that know nothing of this one, such as those that choose by ALPN (RFC 7301).
    private func tellHandshake() {
        guard layer.phase == .established, let info else { return }
        context?.fireUserInboundEventTriggered(
            TLSUserEvent.handshakeCompleted(negotiatedProtocol: info.applicationProtocol))
    }

    /// Tells the handlers behind of a handshake that was done before the connection came into this channel. Data waits for it.
    func introduce() {
        guard !isIntroduced else { return }
        isIntroduced = true
        tellHandshake()
        pump()
        if inbound.hasDelivered { completeRead() }
    }

    /// What was written during the handshake.
    private func sealWaiting() {
        while layer.phase == .established, let first = outbound.popHeld() {
            switch first {
            case .bytes(let buffer, let promise): seal(buffer, promise)
            case .end(let promise):
                layer.closeOutput()
                outbound.wait(promise, outgoing: layer.outgoingCount)
            }
        }
    }

    /// Ends an established connection with a fatal alert, behind what was written: the peer is who it says, and is not let in.
    package func refuse(with alert: Alert) {
        guard layer.phase == .established else { return }
        layer.refuse(with: alert)
        layer.fail()
        stopTimer()
        failWrites(ConnectionError(.closed))
        close(.close)
    }

    /// Ends the connection for a reason of the peer's or of its own. A fatal alert that is due is written before the
    /// socket closes (RFC 8446 section 6.2). Where none is due, because the peer has cut the connection off or has sent
    /// an alert itself, the connection is reset: it must not end as if it were whole.
    func fail(_ error: any Error) {
        let saysWhy: Bool
        switch layer.phase {
        case .failed, .detached, .closed: return
        case .plain, .handshaking: saysWhy = true
        case .established:
            let error = error as? TLSError
            saysWhy = error?.code != .peerAlert && error?.alert != nil
        }
        layer.fail()
        stopTimer()
        failWrites(error)
        context?.fireErrorCaught(error)
        close(saysWhy ? .close : .reset(discarding: false))
    }
}
