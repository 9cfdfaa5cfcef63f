public import NIOCore
internal import TLSHandshake
internal import TLSRecords

extension ConnectionHandler {
    /// The most plaintext gathered for one `channelRead`, in bytes.
    private static let largestRead = 64 << 10

    private enum Step {
        case plaintext(ByteBuffer)
        case tell(ConnectionEvent)
        case readClosed
        case failed(TLSError)
        case nothing
    }

    /// Handler of the pipeline; not to be called.
    public func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { activate(context) }
    }

    /// Handler of the pipeline; not to be called.
    public func handlerRemoved(context: ChannelHandlerContext) {
        if phase != .detached { end(ChannelError.ioOnClosedChannel) }
        self.context = nil
    }

    /// Handler of the pipeline; not to be called.
    public func channelActive(context: ChannelHandlerContext) {
        activate(context)
        context.fireChannelActive()
    }

    /// Handler of the pipeline; not to be called.
    ///
    /// The application hears of it at the connection's end: behind the data that came before.
    public func errorCaught(context: ChannelHandlerContext, error: any Error) {
        transportError = transportError ?? error
    }

    /// Handler of the pipeline; not to be called.
    public func channelInactive(context: ChannelHandlerContext) {
        isTransportGone = true
        switch phase {
        case .handshaking:
            do {
                if let transportError { throw transportError }
                try handshake?.receiveEnd()
            } catch {
                end(error)
                context.fireErrorCaught(error)
            }
        case .plain where closing == .no, .established where closing == .no: endOfTransport(context)
        case .plain, .established, .failed, .detached, .closed: break
        }
        end(ChannelError.ioOnClosedChannel)
        context.fireChannelInactive()
    }

    /// The channel closed, and not because the application wanted it. Whatever came before is the application's, also if
    /// it has not asked for it yet.
    private func endOfTransport(_ context: ChannelHandlerContext) {
        // Once our FIN has been sent the channel takes the peer's for the end of everything. Any other way is a break.
        let isInOrder = transportError == nil && hasClosedOutput
        // With TLS the connection itself knows whether the peer had ended: its close_notify is missing, or not.
        if isInOrder || phase == .established { isInputEnded = true }
        pump()
        if hasDelivered { completeRead() }
        guard !isInOrder, closing == .no, phase == .plain || phase == .established else { return }
        let error = transportError ?? ConnectionError(.reset)
        end(error)
        context.fireErrorCaught(error)
    }

    /// Handler of the pipeline; not to be called.
    ///
    /// A channel whose peer has ended its side reads what is left at once, asked or not.
    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        isUsedSinceSweep = true
        guard closing == .no else { return }
        switch phase {
        case .plain:
            received.append(buffer)
            pump()
        case .handshaking:
            buffer.withUnsafeReadableBytes { handshake?.receive($0.bytes) }
            advanceHandshake()
        case .established:
            connection?.noteTime(NIODeadline.now().uptimeNanoseconds / 1_000_000)
            buffer.withUnsafeReadableBytes { connection?.receive($0.bytes) }
            pump()
        case .failed, .detached, .closed: break
        }
    }

    /// Handler of the pipeline; not to be called.
    public func channelReadComplete(context: ChannelHandlerContext) {
        if hasDelivered {
            completeRead()
        } else if closing != .no || isReadWanted || phase == .handshaking {
            // A piece of a record is not what the application asked for.
            context.read()
        }
    }

    /// Handler of the pipeline; not to be called.
    public func read(context: ChannelHandlerContext) {
        isReadWanted = true
        // Who is asked in the midst of handing on goes on handing on.
        guard !isPumping else { return }
        pump()
        if hasDelivered {
            // The application may ask again from within.
            completeRead()
            if readsByItself { isReadWanted = true }
        }
        if isReadWanted { context.read() }
    }

    /// Handler of the pipeline; not to be called.
    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        isInputEnded = true
        guard closing == .no else {
            finishClosing()
            return
        }
        switch phase {
        case .plain, .established:
            pump()
            if hasDelivered { completeRead() }
        case .handshaking:
            do { try handshake?.receiveEnd() } catch { fail(error) }
        case .failed, .detached, .closed: break
        }
    }

    private var hasDelivered: Bool { delivered != nil }

    /// Whether the application gets what there is: it has asked, need not ask, or cannot ask any more.
    private var mayDeliver: Bool { isReadWanted || isTransportGone || readsByItself }

    /// Whether the channel asks for the application. It does so only after what it has read itself, and not while a read of
    /// this handler's own is pending.
    private var readsByItself: Bool { (try? context?.channel.syncOptions?.getOption(.autoRead)) == true }

    private func completeRead() {
        delivered = nil
        isReadWanted = false
        context?.fireChannelReadComplete()
    }

    private func deliver(_ buffer: ByteBuffer) {
        delivered = (delivered ?? 0) + buffer.readableBytes
        context?.fireChannelRead(wrapInboundOut(buffer))
        guard let delivered, delivered >= Self.largestRead, !isTransportGone else { return }
        completeRead()
    }

    /// Hands on what has come, in its order: plaintext as far as the application wants to read, then the end. Handlers may
    /// do anything in between, so no state is kept across a call to them.
    func pump() {
        guard !isPumping, isActive else { return }
        isPumping = true
        stepping: while closing == .no, let context {
            let step: Step =
                switch phase {
                case .plain: nextPlainStep()
                case .established: nextStep(context)
                case .handshaking, .failed, .detached, .closed: .nothing
                }
            switch step {
            case .plaintext(let buffer): deliver(buffer)
            case .tell(let event): context.fireUserInboundEventTriggered(event)
            case .readClosed: tellInputClosed()
            case .failed(let error):
                if hasDelivered { completeRead() }
                fail(error)
                break stepping
            case .nothing: break stepping
            }
        }
        isPumping = false
        drain()
    }

    private func nextPlainStep() -> Step {
        guard mayDeliver else { return .nothing }
        if let buffer = received.popFirst() { return .plaintext(buffer) }
        return isInputEnded && !hasToldInputClosed ? .readClosed : .nothing
    }

    private func nextStep(_ context: ChannelHandlerContext) -> Step {
        var gathered: ByteBuffer?
        do throws(TLSError) {
            while true {
                if let count = connection?.unreadCount, count > 0 {
                    guard mayDeliver else { return .nothing }
                    let room = max(0, Self.largestRead - (gathered?.readableBytes ?? 0))
                    if gathered == nil { gathered = context.channel.allocator.buffer(capacity: roomNeeded(count)) }
                    if count > room, let gathered { return .plaintext(gathered) }
                    readUnread(count, into: &gathered)
                    recordsReceived &+= 1
                    continue
                }
                switch try nextEvent() {
                case .applicationData: break
                case .keyUpdate(let requested):
                    return keep(gathered, before: .keyUpdate(requested: requested))
                case .sessionTicket(let ticket): return keep(gathered, before: .sessionTicket(ticket))
                case .closeNotify: break
                case nil:
                    if let gathered { return .plaintext(gathered) }
                    if connection?.isReadClosed == true {
                        return mayDeliver && !hasToldInputClosed ? .readClosed : .nothing
                    }
                    guard isInputEnded, connection != nil else { return .nothing }
                    // Says that there was no close_notify, by throwing at the next turn.
                    connection!.receiveEnd()
                }
            }
        } catch {
            // It is thrown again when what came before it has been handed on.
            if let gathered { return .plaintext(gathered) }
            return .failed(error)
        }
    }

    private func nextEvent() throws(TLSError) -> Event? {
        if let event = postponed {
            postponed = nil
            return event
        }
        guard connection != nil else { return nil }
        return try connection!.nextEvent()
    }

    /// Data that came before an event is handed on before it.
    private func keep(_ gathered: ByteBuffer?, before event: Event) -> Step {
        if let gathered {
            postponed = event
            return .plaintext(gathered)
        }
        switch event {
        case .keyUpdate(let requested): return .tell(.keyUpdate(requested: requested))
        case .sessionTicket(let ticket): return .tell(.sessionTicket(ticket))
        case .applicationData, .closeNotify: return .nothing
        }
    }

    /// One record seldom comes alone when it is a large one.
    private func roomNeeded(_ count: Int) -> Int { count >= 4_096 ? Self.largestRead : count }

    private func readUnread(_ count: Int, into buffer: inout ByteBuffer?) {
        connection?.withUnread { span in
            span.withUnsafeBytes { bytes in
                _ = buffer?.writeBytes(bytes)
            }
        }
        connection?.consumeUnread(count)
    }

    /// The peer will send no more, and the application has had what it sent.
    private func tellInputClosed() {
        if hasDelivered { completeRead() }
        // The application may have closed the connection, moved it or begun TLS.
        guard closing == .no, !hasToldInputClosed, hasInputEnded else { return }
        hasToldInputClosed = true
        context?.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        if !options.allowsHalfClosure || isOutputClosed { beginClosing(nil) }
    }

    private var hasInputEnded: Bool {
        switch phase {
        case .plain: isInputEnded
        case .established: connection?.isReadClosed == true
        case .handshaking, .failed, .detached, .closed: false
        }
    }

    /// Whether the application has ended its side, here or at a former owner. What it wrote before may still wait.
    public var isOutputClosed: Bool { closesOutput || hasClosedOutput || connection?.isWriteClosed == true }
}
