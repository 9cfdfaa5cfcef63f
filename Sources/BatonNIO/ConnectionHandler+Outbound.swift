public import NIOCore
internal import TLSHandshake
internal import TLSRecords

extension ConnectionHandler {
    /// Handler of the pipeline; not to be called.
    public func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !ending.isClosing, !isOutputClosed else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        noteUse()
        let buffer = unwrapOutboundIn(data)
        switch layer.phase {
        case .plain: outbound.append(buffer, promise)
        case .handshaking: outbound.hold(buffer, promise)
        case .established: seal(buffer, promise)
        case .detached: promise?.fail(ConnectionError(.detached))
        case .failed, .closed: promise?.fail(ChannelError.ioOnClosedChannel)
        }
        tellWritability()
    }

    /// Handler of the pipeline; not to be called.
    public func flush(context: ChannelHandlerContext) {
        writeWaiting()
    }

    /// Protects `buffer` and queues it.
    func seal(_ buffer: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
        do throws(TLSError) {
            try layer.send(buffer)
        } catch {
            promise?.fail(error)
            // The key is used up and TLS 1.2 has no other.
            if error.fault != .caller { fail(error) }
            return
        }
        outbound.wait(promise, outgoing: layer.outgoingCount)
    }

    /// Returns whether there was anything to give.
    func fill(_ context: ChannelHandlerContext) -> Bool {
        var isAny = false
        while let piece = nextPiece(context.channel.allocator) {
            isAny = true
            outbound.handOver(piece)
            let written = context.eventLoop.makePromise(of: Void.self)
            written.futureResult.assumeIsolated().whenComplete { [self] in
                switch $0 {
                case .success: confirm()
                case .failure(let error): inbound.fail(error)
                }
            }
            context.write(wrapOutboundOut(piece), promise: written)
        }
        return isAny
    }

    private func nextPiece(_ allocator: ByteBufferAllocator) -> ByteBuffer? {
        switch outbound.next(outgoing: layer.outgoingCount) {
        case .plain(let piece): piece
        case .ciphertext(let count): layer.takeOutgoing(count, allocator)
        case nil: nil
        }
    }

    private func confirm() {
        guard !layer.isGone else { return }
        outbound.confirmFirst()
        settlePromises()
        writeWaiting()
    }

    func settlePromises() {
        while let promise = outbound.popWritten() { promise.succeed() }
    }

    func failWrites(_ error: any Error) {
        for promise in outbound.dropWaiting() { promise.fail(error) }
    }
}
