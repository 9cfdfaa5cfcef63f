internal import BatonConfiguration
internal import BatonNIO
internal import Handoff
internal import HostMigration
internal import Logging
internal import NIOCore
internal import TLSRecords

/// Passes bytes both ways between the client and an upstream. Both connections and the bytes between move together:
/// what was read from one side is at once written to the other, so it waits in that side's connection, and travels
/// with it. A side is read only while the other is there and has room.
///
/// Each direction ends in one of two ways. A side that has ended in order, by close_notify or, plain, by FIN, ends the
/// other's output in order, behind the bytes. Whatever else ends a connection breaks the session: the other side gets the
/// bytes that came before, and then a reset (RFC 8446 section 6.1).
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
    /// The sides that have ended in order.
    private var hasInputClosed: Set<RelaySide> = []
    /// The sides whose connections are closed.
    private var hasClosed: Set<RelaySide> = []
    private var isBroken = false

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
        try recall(.upstream, from: channel)
        try channel.pipeline.syncOperations.addHandler(RelayHandler(self, .client))
    }

    /// The client is there; now the upstream, which came along or is to be connected.
    override func begin() {
        if let (leg, socket) = leg {
            self.leg = nil
            attach(leg, socket)
        } else if (try? clientHandler().isClosing) == true {
            // The upstream has said all; a former owner has seen its end.
            hasClosed.insert(.upstream)
            stage = .relaying
            client?.read()
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
            return breakOff()
        }
        guard let handler = try? clientHandler() else { return breakOff() }
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
        guard !hasEnded, !isBroken else {
            opened.channel.close(promise: nil)
            return
        }
        do {
            try installUpstream(opened.channel)
            if !opened.received.isEmpty { client?.writeAndFlush(ByteBuffer(bytes: opened.received), promise: nil) }
            if opened.isInputClosed { inputClosed(.upstream) }
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
        try recall(.client, from: channel)
        try channel.syncOptions?.setOption(.autoRead, value: false)
        try channel.pipeline.syncOperations.addHandler(RelayHandler(self, .upstream))
    }

    private func relay() {
        stage = .relaying
        guard !isBroken, !hasClosed.contains(.client) else { return breakOff() }
        client?.read()
        upstream?.read()
    }

    private func fail(_ error: any Error) {
        // Its next owner connects anew.
        guard !hasEnded else { return }
        worker.log.warning(
            "the upstream cannot be reached", metadata: ["upstream": "\(name)", "reason": "\(error)"])
        hasClosed.insert(.upstream)
        // Nothing else has been said to the client: it is told in its protocol, where the front has begun to speak that.
        if stage == .connecting, let kind = try? clientHandler().metadata.startTLS {
            var answer = kind.unavailable
            if case UpstreamOpeningError.greeting(_, let said?) = error { answer = said }
            client?.writeAndFlush(ByteBuffer(bytes: answer), promise: nil)
            client?.close(promise: nil)
        } else {
            // An empty answer would look whole.
            breakOff()
        }
        endIfClosed()
    }

    // MARK: Moving

    override func detach() throws -> Parcel {
        guard stage != .attaching, !isBroken, !hasClosed.contains(.client) else { throw ConnectionMoveError.changing }
        let handler = try clientHandler()
        if hasClosed.contains(.upstream) {
            guard handler.isClosing else { throw ConnectionMoveError.changing }
            return try handler.detach(applicationState: SessionState().encoded)
        }
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
            for descriptor in second.sockets.takeAll() { SocketReset.close(descriptor) }
            hasClosed.insert(.upstream)
            breakOff()
            throw error
        }
    }

    /// Not while its upstream is being connected: another host may not be able to connect before it has the address.
    override var mayLeaveHost: Bool { stage == .relaying }

    // MARK: Relaying

    private func channel(_ side: RelaySide) -> (any Channel)? {
        side == .client ? client : upstream
    }

    /// Where the bytes of `side` go, if it is there already.
    private func sink(of side: RelaySide) -> (any Channel)? {
        side == .client && stage != .relaying ? nil : channel(side.other)
    }

    /// What `side` has said.
    func pass(_ bytes: ByteBuffer, from side: RelaySide) {
        if let sink = sink(of: side) {
            sink.write(bytes, promise: nil)
        } else {
            received += bytes.readableBytesView
        }
    }

    /// `side` has said for now what it had to say, and is read on if the other has room.
    func flush(from side: RelaySide) {
        sink(of: side)?.flush()
        if mayRead(side) { channel(side)?.read() }
    }

    /// `side` has room again: the other may be read.
    func hasRoom(_ side: RelaySide) {
        if mayRead(side.other) { channel(side.other)?.read() }
    }

    /// Whether what `side` sends may be read: the other side has room.
    private func mayRead(_ side: RelaySide) -> Bool {
        guard stage == .relaying, let other = channel(side.other) else { return false }
        return (try? other.pipeline.syncOperations.connectionHandler().isWritable) ?? false
    }

    // MARK: Ends

    /// The client could not be put into its channel, or has closed or moved.
    override func clientEnded(isMoved: Bool) {
        connector?.cancel()
        connector = nil
        guard !isMoved else { return }
        dropUpstream()
        if isBroken || !hasClosed.contains(.upstream) { breakOff() }
    }

    /// `side` has ended in order, behind all its bytes. Nobody reads it, and so hears of its end, before the other is there.
    func inputClosed(_ side: RelaySide) {
        hasInputClosed.insert(side)
        sink(of: side)?.close(mode: .output, promise: nil)
    }

    /// A former owner has passed the end of `side` on to the connection in `channel`.
    private func recall(_ side: RelaySide, from channel: any Channel) throws {
        if try channel.pipeline.syncOperations.connectionHandler().isOutputClosed { hasInputClosed.insert(side) }
    }

    /// The connection of `side` has ended, and not in order.
    func broke(_ side: RelaySide, _ error: any Error) {
        worker.note(error, of: self, side)
        isBroken = true
        // It ends itself; a peer that broke the protocol is told so by an alert.
        reset(side.other)
    }

    private func breakOff(discarding: Bool = false) {
        isBroken = true
        for side in RelaySide.allCases { reset(side, discarding: discarding) }
    }

    private func reset(_ side: RelaySide, discarding: Bool = false) {
        guard let handler = try? channel(side)?.pipeline.syncOperations.connectionHandler() else { return }
        handler.reset(discarding: discarding)
    }

    /// Neither side has ended, so neither may see an end in order.
    override func close() { breakOff() }

    override func abandon() {
        for side in RelaySide.allCases where isBroken || !hasInputClosed.contains(side.other) || hasPending(side) {
            reset(side, discarding: true)
        }
    }

    private func hasPending(_ side: RelaySide) -> Bool {
        (try? channel(side)?.pipeline.syncOperations.connectionHandler().pendingByteCount) != 0
    }

    func channelEnded(_ side: RelaySide, isMoved: Bool) {
        guard !isMoved else {
            if side == .client { end(isMoved: true) }
            return
        }
        hasClosed.insert(side)
        if side == .client { dropUpstream() }
        if isBroken || hasInputClosed.count < RelaySide.allCases.count {
            breakOff()
        } else {
            channel(side.other)?.close(promise: nil)
        }
        endIfClosed()
    }

    /// What the one side said last is written to the other before the session is over.
    private func endIfClosed() {
        let isUpstreamThere = upstream != nil || stage == .attaching
        if hasClosed.contains(.client), hasClosed.contains(.upstream) || !isUpstreamThere { end(isMoved: false) }
    }

    /// The client has gone before its upstream was there.
    private func dropUpstream() {
        connector?.cancel()
        connector = nil
        if let (_, socket) = leg {
            leg = nil
            SocketReset.close(socket)
            hasClosed.insert(.upstream)
        }
        snapshot = nil
    }
}
