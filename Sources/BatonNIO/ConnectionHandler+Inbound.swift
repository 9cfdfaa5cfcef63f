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
    public func channelInactive(context: ChannelHandlerContext) {
        if phase != .detached {
            if phase == .established, closing == .no {
                // Whatever came before the end is the application's, also if it has not asked for it yet.
                isInputEnded = true
                isReadWanted = true
                pump()
            }
            if phase == .handshaking {
                do { try handshake?.receiveEnd() } catch { context.fireErrorCaught(error) }
            }
            end(ChannelError.ioOnClosedChannel)
        }
        context.fireChannelInactive()
    }

    /// Handler of the pipeline; not to be called.
    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        isUsedSinceSweep = true
        guard closing == .no else { return }
        switch phase {
        case .plain:
            deliverReceived()
            hasDelivered = true
            context.fireChannelRead(data)
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
        if isActive, !isPumping {
            deliverReceived()
            pump()
            if hasDelivered { completeRead() }
        }
        context.read()
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
        case .plain: tellInputClosed()
        case .handshaking:
            do { try handshake?.receiveEnd() } catch { fail(error) }
        case .established: pump()
        case .failed, .detached, .closed: break
        }
    }

    private func completeRead() {
        hasDelivered = false
        isReadWanted = false
        context?.fireChannelReadComplete()
    }

    /// Plain bytes a former owner read and left.
    private func deliverReceived() {
        guard !received.isEmpty, phase == .plain, let context else { return }
        let bytes = received
        received = []
        hasDelivered = true
        context.fireChannelRead(wrapInboundOut(context.channel.allocator.buffer(bytes: bytes)))
    }

    /// Opens records and hands on what they hold, as far as the application wants to read. Handlers may do anything in
    /// between, so no state is kept across a call to them.
    func pump() {
        guard !isPumping, isActive else { return }
        isPumping = true
        stepping: while phase == .established, closing == .no, let context {
            switch nextStep(context) {
            case .plaintext(let buffer):
                hasDelivered = true
                context.fireChannelRead(wrapInboundOut(buffer))
            case .tell(let event): context.fireUserInboundEventTriggered(event)
            case .readClosed: tellInputClosed()
            case .failed(let error):
                fail(error)
                break stepping
            case .nothing: break stepping
            }
        }
        isPumping = false
        drain()
    }

    private func nextStep(_ context: ChannelHandlerContext) -> Step {
        var gathered: ByteBuffer?
        do throws(TLSError) {
            while true {
                if let count = connection?.unreadCount, count > 0 {
                    guard isReadWanted else { return .nothing }
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
                    if connection?.isReadClosed == true { return hasToldInputClosed ? .nothing : .readClosed }
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

    func tellIfReadClosed() {
        if phase == .established, connection?.isReadClosed == true { tellInputClosed() }
    }

    /// The peer will send no more.
    func tellInputClosed() {
        guard !hasToldInputClosed else { return }
        hasToldInputClosed = true
        context?.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        if hasDelivered { completeRead() }
        if !options.allowsHalfClosure || isOutputClosed { beginClosing(nil) }
    }

    /// Whether the application has ended its side.
    var isOutputClosed: Bool { closesOutput || hasClosedOutput || connection?.isWriteClosed == true }
}
