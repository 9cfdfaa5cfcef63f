internal import BatonNIO
internal import Glibc
internal import Handoff
internal import Logging
internal import NIOCore
internal import TLSRecords

/// Passes bytes both ways between the client and an upstream. Both connections and the bytes between move together:
/// what was read from one side is at once written to the other, so it waits in that side's connection, and travels
/// with it. A side is read only while the other has room.
final class ProxySession: Session {
    private enum Stage {
        /// The upstream is being connected, or its TLS handshake is under way. A move begins it anew.
        case connecting
        /// The upstream's connection came along and is being put into its channel, or waits for the client's.
        case attaching
        case relaying
    }

    private let name: String
    private var received: [UInt8] = []
    private var leg: (UpstreamLeg, CInt)?
    /// The upstream's TLS connection, until it is attached.
    private var snapshot: Snapshot?
    private var stage = Stage.connecting
    private var upstream: (any Channel)?
    private var connector: UpstreamConnector?

    init(
        _ worker: Worker, upstream name: String, leg: (UpstreamLeg, CInt)?, _ snapshot: consuming Snapshot?,
        _ metadata: ParcelMetadata
    ) {
        self.name = name
        self.snapshot = snapshot
        self.leg = leg
        if leg != nil { stage = .attaching }
        super.init(worker, target: .upstream(name), metadata)
    }

    override func pendingByteCount() -> Int {
        let upstream = try? self.upstream?.pipeline.syncOperations.connectionHandler().pendingByteCount
        return super.pendingByteCount() + (upstream ?? 0)
    }

    override func install(in channel: any Channel, _ state: SessionState) throws {
        try super.install(in: channel, state)
        received = state.received
        try channel.pipeline.syncOperations.addHandler(RelayHandler(self, .client))
    }

    /// The client is there; now the upstream, which came along or is to be connected.
    override func begin() {
        if let (leg, socket) = leg {
            self.leg = nil
            attach(leg, socket)
        } else {
            connect()
        }
    }

    private func attach(_ leg: UpstreamLeg, _ socket: CInt) {
        var parcel = Parcel(sockets: DescriptorSet(owning: socket))
        parcel.snapshot = snapshot.take()
        parcel.received = leg.received
        parcel.unsent = leg.unsent
        parcel.metadata.annotations = leg.annotations
        let session = NIOLoopBound(self, eventLoop: worker.loop)
        worker.bootstrap { channel in try session.value.installUpstream(channel) }
            .attach(parcel, on: worker.loop)
            .whenComplete { result in
                switch result {
                case .success: session.value.relay()
                case .failure(let error): session.value.fail(error)
                }
            }
    }

    private func connect() {
        guard let upstream = worker.configuration.upstreams[name] else {
            worker.log.warning("the upstream is not in the configuration any more", metadata: ["upstream": "\(name)"])
            return close()
        }
        guard let handler = try? clientHandler() else { return close() }
        let session = NIOLoopBound(self, eventLoop: worker.loop)
        let connector = UpstreamConnector(worker, upstream, for: UpstreamClient(handler)) { result in
            let session = session.value
            session.connector = nil
            switch result {
            case .success(let opened): session.connected(opened)
            case .failure(let error): session.fail(error)
            }
        }
        self.connector = connector
        connector.start()
    }

    private func connected(_ opened: UpstreamOpening.Opened) {
        guard !hasEnded else {
            opened.channel.close(promise: nil)
            return
        }
        do {
            try installUpstream(opened.channel)
            if opened.isInputClosed { hasInputClosed.insert(.upstream) }
            if !opened.received.isEmpty { client?.writeAndFlush(ByteBuffer(bytes: opened.received), promise: nil) }
            if !received.isEmpty {
                opened.channel.writeAndFlush(ByteBuffer(bytes: received), promise: nil)
                received = []
            }
            relay()
        } catch {
            fail(error)
        }
    }

    private func installUpstream(_ channel: any Channel) throws {
        upstream = channel
        try channel.syncOptions?.setOption(.autoRead, value: false)
        try channel.pipeline.syncOperations.addHandler(RelayHandler(self, .upstream))
    }

    private func relay() {
        guard !hasEnded else {
            upstream?.close(promise: nil)
            return
        }
        stage = .relaying
        for side in RelaySide.allCases where hasInputClosed.contains(side) { channel(side.other)?.closeOutput() }
        client?.read()
        upstream?.read()
    }

    private func fail(_ error: any Error) {
        worker.log.warning(
            "the upstream cannot be reached", metadata: ["upstream": "\(name)", "reason": "\(error)"])
        // Nothing else has been said to the client: it is told in its protocol, where the front has begun to speak that.
        if stage == .connecting, let kind = try? clientHandler().metadata.startTLS {
            var answer = kind.unavailable
            if case UpstreamOpeningError.greeting(_, let said?) = error { answer = said }
            client?.writeAndFlush(ByteBuffer(bytes: answer), promise: nil)
        }
        close()
    }

    // MARK: Moving

    override func detach() throws -> Parcel {
        guard stage != .attaching else { throw ConnectionMoveError.changing }
        let handler = try clientHandler()
        guard stage == .relaying, let upstream else {
            // Nothing has been said to the upstream yet: the next owner connects again.
            return try handler.detach(applicationState: SessionState(received: received).encoded)
        }
        let upstreamHandler = try upstream.pipeline.syncOperations.connectionHandler()
        // The upstream first: until the client's connection is out too, everything can still be closed, never lost in part.
        var second = try upstreamHandler.detach(applicationState: [])
        var state = SessionState(received: received)
        var leg = UpstreamLeg()
        leg.received = second.received
        leg.unsent = second.unsent
        leg.annotations = second.metadata.annotations
        state.upstream = leg
        do {
            var parcel = try handler.detach(applicationState: state.encoded)
            parcel.secondSnapshot = second.snapshot.take()
            for descriptor in second.sockets.takeAll() { parcel.sockets.append(owning: descriptor) }
            return parcel
        } catch {
            close()
            throw error
        }
    }

    /// Not while its upstream is being connected: another host may not be able to connect before it has the address.
    override var mayLeaveHost: Bool { stage == .relaying }

    override func clientEnded(isMoved: Bool) {
        // It has gone before its upstream was attached.
        if let (_, socket) = leg { Glibc.close(socket) }
        leg = nil
        snapshot = nil
        connector?.cancel()
        connector = nil
        if !isMoved { upstream?.close(promise: nil) }
    }

    // MARK: Relaying

    private var hasInputClosed: Set<RelaySide> = []

    func channel(_ side: RelaySide) -> (any Channel)? {
        side == .client ? client : upstream
    }

    /// Whether what `side` sends may be read: the other side has room.
    func mayRead(_ side: RelaySide) -> Bool {
        guard stage == .relaying, let other = channel(side.other) else { return false }
        return (try? other.pipeline.syncOperations.connectionHandler().isWritable) ?? false
    }

    func inputClosed(_ side: RelaySide) {
        hasInputClosed.insert(side)
        if stage == .relaying { channel(side.other)?.closeOutput() }
    }

    func channelEnded(_ side: RelaySide, isMoved: Bool) {
        if side == .client { return end(isMoved: isMoved) }
        // What the upstream said last is written to the client before it closes.
        if !isMoved { client?.close(promise: nil) }
    }
}

extension Channel {
    fileprivate func closeOutput() {
        close(mode: .output, promise: nil)
    }
}
