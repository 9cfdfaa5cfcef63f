public import NIOCore
internal import TLSHandshake
internal import TLSRecords

extension ConnectionHandler {
    private enum Step {
        case plaintext(ByteBuffer)
        case tell(ConnectionEvent)
        case readClosed
        case failed(TLSError)
        case nothing
    }

    /// Handler of the pipeline; not to be called.
    ///
    /// The application hears of it at the connection's end: behind the data that came before.
    public func errorCaught(context: ChannelHandlerContext, error: any Error) {
        inbound.fail(error)
    }

    /// Handler of the pipeline; not to be called.
    public func channelInactive(context: ChannelHandlerContext) {
        introduce()
        inbound.loseTransport()
        switch layer.phase {
        case .handshaking:
            do {
                if let failure = inbound.failure { throw failure }
                try layer.endHandshakeInput()
            } catch {
                end(error)
                context.fireErrorCaught(error)
            }
        case .plain where !ending.isClosing, .established where !ending.isClosing: endOfTransport(context)
        case .plain, .established, .failed, .detached, .closed: break
        }
        end(ChannelError.ioOnClosedChannel)
        context.fireChannelInactive()
    }

    /// The channel closed, and not because the application wanted it. Whatever came before is the application's, also if
    /// it has not asked for it yet.
    private func endOfTransport(_ context: ChannelHandlerContext) {
        // Once our FIN has been sent the channel takes the peer's for the end of everything. Any other way is a break.
        let isInOrder = inbound.failure == nil && ending.output == .ended
        // With TLS the connection itself knows whether the peer had ended: its close_notify is missing, or not.
        if isInOrder || layer.phase == .established { inbound.end() }
        pump()
        if inbound.hasDelivered { completeRead() }
        guard !isInOrder, !ending.isClosing, layer.phase == .plain || layer.phase == .established else { return }
        let error = inbound.failure ?? ConnectionError(.reset)
        end(error)
        context.fireErrorCaught(error)
    }

    /// Handler of the pipeline; not to be called.
    ///
    /// A channel whose peer has ended its side reads what is left at once, asked or not.
    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        noteUse()
        guard !ending.isClosing else { return }
        switch layer.phase {
        case .plain:
            inbound.append(buffer)
            pump()
        case .handshaking:
            layer.receive(buffer)
            advanceHandshake()
        case .established:
            layer.noteTime(NIODeadline.now().uptimeNanoseconds / 1_000_000)
            layer.receive(buffer)
            pump()
        case .failed, .detached, .closed: break
        }
    }

    /// Handler of the pipeline; not to be called.
    public func channelReadComplete(context: ChannelHandlerContext) {
        if inbound.hasDelivered {
            completeRead()
        } else if ending.isClosing || inbound.isReadWanted || layer.phase == .handshaking {
            // A piece of a record is not what the application asked for.
            context.read()
        }
    }

    /// Handler of the pipeline; not to be called.
    public func read(context: ChannelHandlerContext) {
        inbound.wantRead()
        // Who is asked in the midst of handing on goes on handing on.
        guard !inbound.isBeingPumped else { return }
        pump()
        if inbound.hasDelivered {
            // The application may ask again from within.
            completeRead()
            if readsByItself { inbound.wantRead() }
        }
        if inbound.isReadWanted { context.read() }
    }

    /// Handler of the pipeline; not to be called.
    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        inbound.end()
        guard !ending.isClosing else {
            close(.progress)
            return
        }
        switch layer.phase {
        case .plain, .established:
            pump()
            if inbound.hasDelivered { completeRead() }
        case .handshaking:
            do { try layer.endHandshakeInput() } catch { fail(error) }
        case .failed, .detached, .closed: break
        }
    }

    /// Whether the application gets what there is: it has asked, need not ask, or cannot ask any more.
    private var mayDeliver: Bool { inbound.isReadWanted || inbound.isTransportGone || readsByItself }

    /// Whether the channel asks for the application. It does so only after what it has read itself, and not while a read of
    /// this handler's own is pending.
    private var readsByItself: Bool { (try? context?.channel.syncOptions?.getOption(.autoRead)) == true }

    func completeRead() {
        inbound.completeRead()
        context?.fireChannelReadComplete()
    }

    private func deliver(_ buffer: ByteBuffer) {
        inbound.countDelivery(buffer.readableBytes)
        context?.fireChannelRead(wrapInboundOut(buffer))
        if inbound.isReadFull { completeRead() }
    }

    /// Hands on what has come, in its order: plaintext as far as the application wants to read, then the end. Handlers may
    /// do anything in between, so no state is kept across a call to them.
    func pump() {
        guard isActive, isIntroduced, inbound.beginPumping() else { return }
        stepping: while !ending.isClosing, let context {
            let step: Step =
                switch layer.phase {
                case .plain: nextPlainStep()
                case .established: nextStep(context)
                case .handshaking, .failed, .detached, .closed: .nothing
                }
            switch step {
            case .plaintext(let buffer): deliver(buffer)
            case .tell(let event): context.fireUserInboundEventTriggered(event)
            case .readClosed: tellInputClosed()
            case .failed(let error):
                if inbound.hasDelivered { completeRead() }
                fail(error)
                break stepping
            case .nothing: break stepping
            }
        }
        inbound.endPumping()
        writeWaiting()
    }

    private func nextPlainStep() -> Step {
        guard mayDeliver else { return .nothing }
        if let buffer = inbound.popFirst() {
            guard var returned = inbound.takeReturned() else { return .plaintext(buffer) }
            returned.writeImmutableBuffer(buffer)
            return .plaintext(returned)
        }
        if let due = inbound.takeDue() { return .plaintext(due) }
        return inbound.isEnded && !inbound.hasToldEnd ? lastStep() : .nothing
    }

    /// The end, behind what the application has given back.
    private func lastStep() -> Step {
        if let last = inbound.takeLast() { return .plaintext(last) }
        return .readClosed
    }

    private func nextStep(_ context: ChannelHandlerContext) -> Step {
        var gathered: ByteBuffer?
        var returnedCount = 0
        do throws(TLSError) {
            while true {
                let count = layer.unreadCount
                if count > 0 {
                    guard mayDeliver else { return .nothing }
                    let room = max(0, InboundQueue.largestRead + returnedCount - (gathered?.readableBytes ?? 0))
                    if gathered == nil {
                        gathered = inbound.takeReturned()
                        returnedCount = gathered?.readableBytes ?? 0
                    }
                    if gathered == nil { gathered = context.channel.allocator.buffer(capacity: roomNeeded(count)) }
                    if count > room, let gathered { return .plaintext(gathered) }
                    layer.readUnread(count, into: &gathered)
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
                    if mayDeliver, let due = inbound.takeDue() { return .plaintext(due) }
                    if layer.isReadClosed {
                        return mayDeliver && !inbound.hasToldEnd ? lastStep() : .nothing
                    }
                    guard inbound.isEnded, layer.phase == .established else { return .nothing }
                    // Says that there was no close_notify, by throwing at the next turn.
                    layer.receiveEnd()
                }
            }
        } catch {
            // It is thrown again when what came before it has been handed on.
            if let gathered { return .plaintext(gathered) }
            return .failed(error)
        }
    }

    private func nextEvent() throws(TLSError) -> Event? {
        if let event = inbound.takePostponed() { return event }
        return try layer.nextEvent()
    }

    /// Data that came before an event is handed on before it.
    private func keep(_ gathered: ByteBuffer?, before event: Event) -> Step {
        if let gathered {
            inbound.postpone(event)
            return .plaintext(gathered)
        }
        switch event {
        case .keyUpdate(let requested): return .tell(.keyUpdate(requested: requested))
        case .sessionTicket(let ticket): return .tell(.sessionTicket(ticket))
        case .applicationData, .closeNotify: return .nothing
        }
    }

    /// One record seldom comes alone when it is a large one.
    private func roomNeeded(_ count: Int) -> Int { count >= 4_096 ? InboundQueue.largestRead : count }

    /// The peer will send no more, and the application has had what it sent.
    private func tellInputClosed() {
        if inbound.hasDelivered { completeRead() }
        // The application may have closed the connection, moved it or begun TLS.
        guard !ending.isClosing, !inbound.hasToldEnd, hasInputEnded else { return }
        inbound.tellEnd()
        context?.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        if !options.allowsHalfClosure || isOutputClosed { close(.close) }
    }

    private var hasInputEnded: Bool {
        switch layer.phase {
        case .plain: inbound.isEnded
        case .established: layer.isReadClosed
        case .handshaking, .failed, .detached, .closed: false
        }
    }

    /// Whether the application has ended its side, here or at a former owner. What it wrote before may still wait.
    public var isOutputClosed: Bool { ending.output != .open || layer.isWriteClosed }
}
