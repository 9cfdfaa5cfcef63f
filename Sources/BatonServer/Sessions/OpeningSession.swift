internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import HostMigration
internal import Logging
internal import NIOCore
internal import TLSRecords

/// A client whose upstream is being connected. When the upstream is there, with all that goes before the client's first
/// byte, both connections leave their channels and become a relay of the engine.
///
/// The client is not read meanwhile, so a move begins the connecting anew.
final class OpeningSession: Session {
    private let name: String
    /// What was read of the client and goes to the upstream first.
    private var received: [UInt8] = []
    private var connector: UpstreamConnector?
    private var startedAt: UInt64 = 0
    /// What the connection to the upstream counts as, until the relay does.
    private var lease: UpstreamLease?
    /// The upstream's channel, until it is handed on.
    private var upstream: (any Channel)?
    /// Nothing more comes of it: the client is told, and closed.
    private var isOver = false

    init(_ worker: Worker, upstream name: String, _ metadata: ParcelMetadata) {
        self.name = name
        super.init(worker, target: .upstream(name), metadata)
    }

    override func install(in channel: any Channel, _ state: SessionState) throws {
        try super.install(in: channel, state)
        received = state.received
        try channel.pipeline.syncOperations.addHandler(
            UnreadClientHandler(self) { [unowned self] in
                end(isMoved: false)
            } broke: { [unowned self] in
                breakOff()
            })
    }

    override func begin() {
        // A former owner has seen the upstream's end; what it said last is being written.
        if (try? clientHandler().isClosing) == true {
            isOver = true
        } else {
            connect()
        }
    }

    override func state() -> SessionState { SessionState(received: received) }

    override func detach() throws -> Parcel {
        guard upstream == nil else { throw ConnectionMoveError.changing }
        return try super.detach()
    }

    /// Another host may not be able to connect before it has the address.
    override var mayLeaveHost: Bool { false }

    private func connect() {
        guard let upstream = worker.configuration.upstreams[name] else {
            blame(.notServed, "the upstream is not in the configuration any more")
            worker.log.warning("the upstream is not in the configuration any more", metadata: ["upstream": "\(name)"])
            return breakOff()
        }
        guard let handler = try? clientHandler() else { return breakOff() }
        startedAt = MonotonicTime.now
        let session = NIOLoopBound(self, eventLoop: worker.loop)
        let connector = UpstreamConnector(worker, name, upstream, for: UpstreamClient(handler)) { result in
            let session = session.value
            session.connector = nil
            switch result {
            case .success(let connected):
                session.lease = connected.lease
                session.connected(connected.opened)
            case .failure(let error): session.fail(error)
            }
        }
        self.connector = connector
        connector.start()
    }

    /// What each side is to get first is written while it is in its channel, so that no more waits than a relay has room for.
    private func connected(_ opened: UpstreamOpening.Opened) {
        guard !hasEnded, !isOver, let client else {
            lease?.release()
            return opened.channel.close(promise: nil)
        }
        upstream = opened.channel
        noteConnected(to: opened.channel)
        var writes: [EventLoopFuture<Void>] = []
        if !opened.received.isEmpty { writes.append(client.writeAndFlush(ByteBuffer(bytes: opened.received))) }
        if !received.isEmpty { writes.append(opened.channel.writeAndFlush(ByteBuffer(bytes: received))) }
        received = []
        let session = NIOLoopBound(self, eventLoop: worker.loop)
        EventLoopFuture.andAllSucceed(writes, on: worker.loop).whenComplete { result in
            switch result {
            case .success:
                // A channel that has just connected is active a moment later.
                session.value.worker.loop.execute { session.value.handOn(isUpstreamInputClosed: opened.isInputClosed) }
            case .failure: session.value.breakOff()
            }
        }
    }

    private func noteConnected(to channel: any Channel) {
        let time = MonotonicTime.now - startedAt
        worker.noteConnected(name, after: time)
        guard AccessLog.process.isOn, let handler = try? clientHandler() else { return }
        handler.metadata.upstreamAddress = channel.remoteAddress.map { address in
            Endpoint(address).map { "\($0)" } ?? address.pathname.map { "unix:\($0)" } ?? "\(address)"
        }
        handler.metadata.connectTime = time / 1_000_000
    }

    private func handOn(isUpstreamInputClosed: Bool) {
        guard !hasEnded, !isOver, let channel = upstream else { return }
        do {
            if isUpstreamInputClosed { client?.close(mode: .output, promise: nil) }
            var second = try channel.pipeline.syncOperations.connectionHandler().detach(applicationState: [])
            upstream = nil
            second.metadata.annotations[ConnectionHandler.Annotation.suspendedAt] = nil
            var state = SessionState()
            state.upstream = UpstreamLeg(
                received: second.received, unsent: second.unsent, annotations: second.metadata.annotations)
            staysInWorker = true
            do {
                var parcel = try clientHandler().detach(applicationState: state.encoded)
                parcel.metadata.certificates = .init()
                parcel.metadata.upstreamPlace = lease?.place.address
                parcel.secondSnapshot = second.snapshot.take()
                for descriptor in second.sockets.takeAll() { parcel.sockets.append(owning: descriptor) }
                worker.serve(parcel)
                lease?.release()
            } catch {
                for descriptor in second.sockets.takeAll() { SocketReset.close(descriptor) }
                throw error
            }
        } catch {
            staysInWorker = false
            worker.note(error, of: self)
            breakOff()
        }
    }

    private func fail(_ error: any Error) {
        // Its next owner connects anew.
        guard !hasEnded else { return }
        worker.noteUpstreamFault(error, name)
        blame(.upstreamUnreachable, "\(error)")
        worker.log.warning(
            "the upstream cannot be reached", metadata: ["upstream": "\(name)", "reason": "\(error)"])
        // Nothing else has been said to the client: it is told in its protocol, where the front has begun to speak that.
        guard let kind = (try? clientHandler())?.metadata.startTLS else {
            // An empty answer would look whole.
            return breakOff()
        }
        isOver = true
        var answer = kind.unavailable
        if case UpstreamOpeningError.greeting(_, let said?) = error { answer = said }
        client?.writeAndFlush(ByteBuffer(bytes: answer), promise: nil)
        client?.close(promise: nil)
    }

    private func breakOff() {
        isOver = true
        dropUpstream()
        try? clientHandler().reset()
    }

    /// Neither side has ended, so the client may not see an end in order.
    override func close() { breakOff() }

    override func abandon() { try? clientHandler().reset(discarding: true) }

    override func clientEnded(isMoved: Bool) { dropUpstream() }

    /// Nothing of the client's is lost with it: a client that is gone has not been read, or what was read is void.
    private func dropUpstream() {
        connector?.cancel()
        connector = nil
        try? upstream?.pipeline.syncOperations.connectionHandler().reset(discarding: true)
        upstream = nil
        lease?.release()
    }
}
