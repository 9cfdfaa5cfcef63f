internal import BatonCore
internal import CLinuxSockets
internal import Glibc
public import Handoff
internal import NIOCore
internal import TLSRecords

extension ConnectionHandler {
    /// Names of the annotations by which owners tell each other what a snapshot has no place for.
    enum Annotation {
        /// The application has closed a plain connection's sending side. 1: FIN follows what is unsent; 2: it has been sent.
        static let outputClosed = "baton.output-closed"
        /// The application has closed the connection; it ends when everything is written.
        static let closing = "baton.closing"
    }

    /// Takes the connection out of the channel, in mid-stream: also with writes pending, half-closed, or with a peer that
    /// does not read. The channel closes; nothing reaches the peer by that, no alert, no close_notify, no FIN.
    ///
    /// The parcel holds everything: bytes written and not taken by the kernel, received and not read. Write promises
    /// that have not been fulfilled fail with `ConnectionError.Code.detached`: their bytes go with the parcel. Handlers
    /// behind this one see `ConnectionEvent.detached`, then the end of the channel.
    ///
    /// - Parameter applicationState: put into the parcel; `nil` asks the provider set by `provideState`, if any.
    /// - Throws: `ConnectionError`, or what the state's provider throws. The connection goes on where it was.
    public func detach(applicationState: [UInt8]? = nil) throws -> Parcel {
        guard let context, isActive else { throw ConnectionError(phase == .closed ? .closed : .noConnection) }
        switch phase {
        case .plain, .established: break
        case .handshaking: throw ConnectionError(.handshaking)
        case .detached: throw ConnectionError(.detached)
        case .failed, .closed: throw ConnectionError(.closed)
        }
        // What has broken ends here.
        guard closing == .no || closing == .writing, transportError == nil, connection?.failure == nil else {
            throw ConnectionError(.closed)
        }
        let state = try applicationState ?? stateProvider?() ?? []
        let descriptor = try descriptor(context)
        let (taken, position) = try bytesTaken(of: descriptor, context)
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw ConnectionError(.system, systemError: errno) }
        var sockets = DescriptorSet()
        sockets.append(owning: copy, writePosition: position)
        // `bytesTaken` has checked the count.
        guard let tail = unconfirmed.takeTail(taken: taken) else { throw ConnectionError(.writePositionUnknown) }
        return close(context, makeParcel(sockets, tail: tail, state: state))
    }

    /// Sets what makes the application's state when the connection moves. It is called on the event loop.
    public func provideState(_ provider: @escaping () throws -> [UInt8]) { stateProvider = provider }

    private func makeParcel(
        _ sockets: consuming DescriptorSet, tail: consuming ByteQueue, state: [UInt8]
    ) -> Parcel {
        for buffer in plain { buffer.withUnsafeReadableBytes { tail.append($0) } }
        var parcel = Parcel(sockets: sockets, applicationState: state, metadata: metadata)
        parcel.metadata.annotations[Annotation.closing] = closing == .writing ? [1] : nil
        parcel.metadata.annotations[Annotation.outputClosed] =
            closesOutput && phase == .plain ? [hasClosedOutput ? 2 : 1] : nil
        if var snapshot = connection.take()?.suspend() {
            snapshot.prependOutgoing(tail)
            parcel.snapshot = consume snapshot
        } else {
            parcel.unsent = tail.withBytes { Array($0) }
            parcel.received = received.flatMap { Array($0.readableBytesView) }
        }
        return parcel
    }

    /// Closes the channel, by which only close(2) happens.
    private func close(_ context: ChannelHandlerContext, _ parcel: consuming Parcel) -> Parcel {
        phase = .detached
        context.fireUserInboundEventTriggered(ConnectionEvent.detached)
        context.close(mode: .all, promise: nil)
        leave(ConnectionError(.detached))
        return parcel
    }

    // MARK: What the kernel took

    /// How many of the bytes handed to the channel the kernel has taken, and the socket's write position.
    ///
    /// The channel knows by its own count; the kernel's must agree. It does not after a reset, which empties the queues.
    private func bytesTaken(
        of descriptor: CInt, _ context: ChannelHandlerContext
    ) throws(ConnectionError) -> (taken: UInt64, position: UInt64?) {
        let buffered = UInt64(max(0, bufferedByteCount(context)))
        guard buffered <= UInt64(unconfirmed.count) else { throw ConnectionError(.writePositionUnknown) }
        let taken = unconfirmed.handed - buffered
        guard let basePosition else { return (taken, nil) }
        var position: UInt64 = 0
        // A FIN of ours counts as a byte; nothing is written behind it.
        let sent = taken + (countsFIN ? 1 : 0)
        guard baton_write_position(descriptor, &position) == 0, position &- basePosition == sent else {
            throw ConnectionError(.writePositionUnknown)
        }
        return (taken, position)
    }

    func bufferedByteCount(_ context: ChannelHandlerContext) -> Int {
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
