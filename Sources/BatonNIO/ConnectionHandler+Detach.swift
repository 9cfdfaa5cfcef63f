internal import BatonCore
internal import CLinuxSockets
public import Handoff
internal import Libc
internal import NIOCore
internal import TLSRecords

extension ConnectionHandler {
    /// Names of the annotations by which owners tell each other what a snapshot has no place for.
    package enum Annotation {
        /// The application has closed a plain connection's sending side. 1: FIN follows what is unsent; 2: it has been sent.
        package static let outputClosed = "baton.output-closed"
        /// The application has closed the connection; it ends when everything is written.
        package static let closing = "baton.closing"

        /// See `ConnectionHandler.logID`.
        package static let logID = "baton.log-id"
        /// See `SuspensionTime`.
        package static let suspendedAt = "baton.suspended-at"

        static func value(of output: CloseSequence.Output) -> [UInt8]? {
            switch output {
            case .open: nil
            case .ending: [1]
            case .ended: [2]
            }
        }

        static func output(_ value: [UInt8]?) -> CloseSequence.Output {
            switch value {
            case nil: .open
            case [2]: .ended
            default: .ending
            }
        }
    }

    /// Takes the connection out of the channel, in mid-stream: also with writes pending, half-closed, or with a peer that
    /// does not read. The channel closes; nothing reaches the peer by that, no alert, no close_notify, no FIN.
    ///
    /// The parcel holds everything: bytes written and not taken by the kernel, received and not read, and those that the
    /// application gives back (`unread`) when `ConnectionEvent.suspending` tells it of the move. Write promises
    /// that have not been fulfilled fail with `ConnectionError.Code.detached`: their bytes go with the parcel. Handlers
    /// behind this one see `ConnectionEvent.detached`, then the end of the channel.
    ///
    /// - Parameter applicationState: put into the parcel; `nil` asks the provider set by `provideState`, if any.
    /// - Throws: `ConnectionError`, or what the state's provider throws. The connection goes on where it was.
    public func detach(applicationState: [UInt8]? = nil) throws -> Parcel {
        try checkMovable()
        if !isSuspending {
            isSuspending = true
            defer { isSuspending = false }
            context?.fireUserInboundEventTriggered(ConnectionEvent.suspending)
            try checkMovable()
        }
        guard inbound.returnedCount <= Parcel.maxUnread else { throw ConnectionError(.tooMuchUnread) }
        guard let context else { throw ConnectionError(.noConnection) }
        let state = try applicationState ?? self.applicationState()
        let descriptor = try descriptor(context)
        let (taken, position) = try bytesTaken(of: descriptor, context)
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw ConnectionError(.system, systemError: errno) }
        var sockets = DescriptorSet()
        sockets.append(owning: copy, writePosition: position)
        // `bytesTaken` has checked the count.
        guard let unsent = outbound.takeUnsent(taken: taken) else { throw ConnectionError(.writePositionUnknown) }
        return close(context, makeParcel(sockets, unsent: unsent, state: state))
    }

    private func checkMovable() throws(ConnectionError) {
        guard context != nil, isActive else { throw ConnectionError(layer.phase == .closed ? .closed : .noConnection) }
        switch layer.phase {
        case .plain, .established: break
        case .handshaking: throw ConnectionError(.handshaking)
        case .detached: throw ConnectionError(.detached)
        case .failed, .closed: throw ConnectionError(.closed)
        }
        guard !isBusy else { throw ConnectionError(.busy) }
        // What has broken ends here.
        guard ending.isMovable, inbound.failure == nil, !layer.hasFailed else { throw ConnectionError(.closed) }
    }

    private func makeParcel(
        _ sockets: consuming DescriptorSet, unsent: consuming ByteQueue, state: [UInt8]
    ) -> Parcel {
        var parcel = Parcel(sockets: sockets, applicationState: state, metadata: metadata)
        parcel.metadata.annotations[Annotation.closing] = ending.isWriting ? [1] : nil
        parcel.metadata.annotations[Annotation.outputClosed] = isPlain ? Annotation.value(of: ending.output) : nil
        SuspensionTime.mark(&parcel.metadata)
        if var snapshot = layer.suspend() {
            snapshot.prependOutgoing(unsent)
            parcel.unread = inbound.returnedBytes
            parcel.snapshot = consume snapshot
        } else {
            parcel.unsent = unsent.withBytes { Array($0) }
            parcel.received = inbound.bytes
        }
        return parcel
    }

    /// Closes the channel, by which only close(2) happens.
    private func close(_ context: ChannelHandlerContext, _ parcel: consuming Parcel) -> Parcel {
        layer.detach()
        context.fireUserInboundEventTriggered(ConnectionEvent.detached)
        context.close(mode: .all, promise: nil)
        leave(ConnectionError(.detached))
        return parcel
    }

    // MARK: What the kernel took

    /// Bytes the channel still has from others come before ours.
    func noteBasePosition(_ context: ChannelHandlerContext) {
        guard let descriptor = try? descriptor(context), let position = writePosition(descriptor) else { return }
        outbound.begin(at: position, buffered: bufferedByteCount(context))
    }

    /// How many of the bytes handed to the channel the kernel has taken, and the socket's write position.
    private func bytesTaken(
        of descriptor: CInt, _ context: ChannelHandlerContext
    ) throws(ConnectionError) -> (taken: UInt64, position: UInt64?) {
        let taken = outbound.bytesTaken(buffered: bufferedByteCount(context), position: writePosition(descriptor))
        guard let taken else { throw ConnectionError(.writePositionUnknown) }
        return taken
    }

    private func writePosition(_ descriptor: CInt) -> UInt64? {
        var position: UInt64 = 0
        return baton_write_position(descriptor, &position) == 0 ? position : nil
    }

    private func bufferedByteCount(_ context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    func descriptor(_ context: ChannelHandlerContext) throws(ConnectionError) -> CInt {
        do {
            let found = try context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self
            ) { $0 }
            if let found { return found }
        } catch {
            throw ConnectionError(.closed)
        }
        throw ConnectionError(.notASocket)
    }
}
