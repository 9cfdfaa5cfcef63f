public import NIOCore
internal import TLSHandshake
internal import TLSRecords

extension ConnectionHandler {
    /// The largest piece given to the channel at once, in bytes.
    private static let largestPiece = 64 << 10

    /// Handler of the pipeline; not to be called.
    public func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard closing == .no, !isOutputClosed else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        isUsedSinceSweep = true
        let buffer = unwrapOutboundIn(data)
        switch phase {
        case .plain:
            plain.append(buffer)
            plainCount += buffer.readableBytes
            if let promise { promises.append((unconfirmed.handed + UInt64(plainCount), promise)) }
        case .handshaking:
            unsealed.append(Waiting(bytes: buffer, promise: promise))
            unsealedCount += buffer.readableBytes
        case .established: seal(buffer, promise)
        case .detached: promise?.fail(ConnectionError(.detached))
        case .failed, .closed: promise?.fail(ChannelError.ioOnClosedChannel)
        }
        tellWritability()
    }

    /// Handler of the pipeline; not to be called.
    public func flush(context: ChannelHandlerContext) {
        drain()
    }

    /// Protects `buffer` and queues it.
    func seal(_ buffer: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
        do throws(TLSError) {
            try send(buffer)
        } catch {
            promise?.fail(error)
            // The key is used up and TLS 1.2 has no other.
            if error.fault != .caller { fail(error) }
            return
        }
        if let promise { promises.append((unconfirmed.handed + UInt64(plainCount + outgoingCount), promise)) }
    }

    private func send(_ buffer: ByteBuffer) throws(TLSError) {
        guard connection != nil else { throw TLSError(.writeClosed) }
        // A typed error does not pass through NIO's closure.
        let failure = buffer.withUnsafeReadableBytes { bytes -> TLSError? in
            do throws(TLSError) {
                try connection!.send(bytes.bytes)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    /// Gives what waits to the channel, as far as the window allows.
    func drain() {
        guard !isDraining, isActive, phase != .detached, phase != .closed else { return }
        isDraining = true
        while let context, fill(context) {
            context.flush()
            if phase == .detached || phase == .closed { break }
        }
        isDraining = false
        guard phase != .detached, phase != .closed else { return }
        settlePromises()
        tellWritability()
        if !hasPending { drained() }
    }

    /// Whether bytes wait that the channel has not confirmed.
    var hasPending: Bool { outgoingCount > 0 || plainCount > 0 || unconfirmed.count > 0 }

    /// Returns whether there was anything to give.
    private func fill(_ context: ChannelHandlerContext) -> Bool {
        var isAny = false
        while let piece = nextPiece(context.channel.allocator) {
            isAny = true
            unconfirmed.append(piece)
            let written = context.eventLoop.makePromise(of: Void.self)
            written.futureResult.assumeIsolated().whenComplete { [self] in
                switch $0 {
                case .success: confirm()
                case .failure(let error): transportError = transportError ?? error
                }
            }
            context.write(wrapOutboundOut(piece), promise: written)
        }
        return isAny
    }

    private func nextPiece(_ allocator: ByteBufferAllocator) -> ByteBuffer? {
        let limit = min(options.writeWindow - unconfirmed.count, Self.largestPiece)
        guard limit > 0 else { return nil }
        while !plain.isEmpty {
            let start = plain.startIndex
            let count = min(limit, plain[start].readableBytes)
            let piece = plain[start].readSlice(length: count)
            if plain[start].readableBytes == 0 { plain.removeFirst() }
            plainCount -= count
            if let piece, count > 0 { return piece }
        }
        let count = min(limit, outgoingCount)
        guard count > 0 else { return nil }
        var piece = allocator.buffer(capacity: count)
        let copy = { (span: RawSpan) in
            span.withUnsafeBytes { _ = piece.writeBytes(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
        if connection != nil {
            connection!.withOutgoing(copy)
            connection!.didWrite(count)
        } else {
            handshake?.withOutgoing(copy)
            handshake?.didWrite(count)
        }
        return piece
    }

    private func confirm() {
        guard phase != .detached, phase != .closed else { return }
        unconfirmed.confirmFirst()
        settlePromises()
        drain()
    }

    private func settlePromises() {
        while let first = promises.first, first.position <= unconfirmed.confirmed {
            promises.removeFirst()
            first.promise.succeed()
        }
    }

    func failWrites(_ error: any Error) {
        while let first = promises.popFirst() { first.promise.fail(error) }
        while let first = unsealed.popFirst() { first.promise?.fail(error) }
        unsealedCount = 0
    }

    private func tellWritability() {
        guard isWritable != wasWritable else { return }
        wasWritable.toggle()
        context?.fireChannelWritabilityChanged()
    }
}
