internal import BatonCore
public import Handoff
public import NIOCore
public import TLSHandshake
public import TLSRecords

/// A connection in a NIO channel: TLS by Baton's own record layer, or plain, and ready to be taken out at any moment.
///
/// It stands first in the pipeline. Plaintext `ByteBuffer`s go in and out behind it; `ConnectionEvent`s and
/// `ChannelEvent.inputClosed` tell what happens beside. It begins with a `Handshake`, with a `Connection`, with a
/// `Parcel` from another process, or plain; a plain one can turn to TLS later (`startTLS`).
///
/// `detach()` takes the connection out, also while writes are pending and the peer does not read: the handler knows what
/// it gave to the channel, and asks the kernel what it took. Nothing reaches the peer by it.
///
/// What it does not do: it decides nothing about routes, and does not wait for anybody; the state of the application's
/// own handlers is theirs to carry (`Parcel.applicationState`). All calls are made on the channel's event loop.
public final class ConnectionHandler: ChannelDuplexHandler {
    /// Plaintext for the application comes from ciphertext.
    public typealias InboundIn = ByteBuffer
    /// Plaintext.
    public typealias InboundOut = ByteBuffer
    /// Plaintext.
    public typealias OutboundIn = ByteBuffer
    /// Ciphertext, or plaintext before TLS has begun.
    public typealias OutboundOut = ByteBuffer

    /// How it behaves.
    public let options: ConnectionOptions

    /// What is known of the connection beside TLS; travels with it.
    public var metadata: ParcelMetadata

    /// A client's session, to be resumed later; set when the handshake is done, if the server gave a ticket by then.
    public internal(set) var clientSession: ClientSession?

    /// What the certificates of a server's handshake say, if its context reads it, from the end of the handshake on. It stays here when
    /// the connection leaves.
    package internal(set) var handshakeFacts: HandshakeFacts?

    /// Application-data records whose plaintext was handed to the application here. One that a former owner opened and
    /// did not hand on counts here.
    public internal(set) var recordsReceived: UInt64 = 0

    /// What waits to be written, who waits for it, and what is with the channel.
    var outbound: OutboundQueue<EventLoopPromise<Void>>
    /// What waits to be read, and what the application has been told.
    var inbound: InboundQueue
    /// How far closing has come.
    var ending: CloseSequence
    /// TLS, or nothing.
    var layer: ProtocolLayer

    private(set) var context: ChannelHandlerContext?
    private(set) var isActive = false
    private var isWriting = false
    private var wasWritable = true
    private var timer: Scheduled<Void>?
    private weak var registration: ConnectionRegistry.Shard?
    private var registeredID: ConnectionID?
    private var stateProvider: (() throws -> [UInt8])?
    private var isUsedSinceSweep = true
    /// How many hold the connection here.
    var holdCount = 0
    /// Whether the connection is to be taken out, and those who hold it here have been told (`ConnectionEvent.wanted`). Who takes a hold
    /// now is not told by the event, and may look here.
    public internal(set) var isWanted = false
    /// Who waits until nobody does, by number.
    var idleWaiters: [UInt64: EventLoopPromise<Void>] = [:]
    var lastWaiter: UInt64 = 0
    /// Whether the handlers behind know what the handshake of a connection settled that was established when it came.
    var isIntroduced: Bool
    /// Whether handlers are being told that the connection is to be taken out.
    var isSuspending = false

    /// When its last owner took it out of its channel (`MonotonicTime`), until it is active here.
    var suspendedAt: UInt64?

    /// Whether the connection is not to be offered to a successor: it was declined, or the application wants it to end here.
    public var staysHere = false

    /// Whether the host that connections are moving to did not take it, so that it is not offered once more at once.
    package var wasRefused = false

    /// Whether it may be taken out by those who move all connections of a registry.
    var isOffered: Bool { !staysHere && !wasRefused }

    /// A connection without TLS, for now or for good.
    public convenience init(plain options: ConnectionOptions = .init(), metadata: ParcelMetadata = .init()) {
        self.init(ProtocolLayer(), options: options, metadata: metadata)
    }

    /// A connection that begins with a handshake. What is written before its end waits for it.
    public convenience init(
        _ handshake: consuming Handshake, options: ConnectionOptions = .init(), metadata: ParcelMetadata = .init()
    ) {
        self.init(ProtocolLayer(handshake), options: options, metadata: metadata)
    }

    /// A connection that is established.
    public convenience init(
        _ connection: consuming Connection, options: ConnectionOptions = .init(), metadata: ParcelMetadata = .init()
    ) {
        self.init(ProtocolLayer(connection), options: options, metadata: metadata)
    }

    init(
        _ layer: consuming ProtocolLayer, outbound: OutboundQueue<EventLoopPromise<Void>>? = nil,
        inbound: InboundQueue = .init(), ending: CloseSequence = .init(), options: ConnectionOptions,
        metadata: ParcelMetadata
    ) {
        self.options = options
        self.metadata = metadata
        self.layer = layer
        self.outbound = outbound ?? OutboundQueue(window: options.writeWindow)
        self.inbound = inbound
        self.ending = ending
        isIntroduced = self.layer.phase != .established
    }

    /// What the handshake settled; `nil` for plain connections and before the end of the handshake.
    public var info: ConnectionInfo? { layer.info }

    /// Whether the connection is without TLS, for now or for good.
    public var isPlain: Bool { layer.phase == .plain }

    /// Bytes of the application's, or ciphertext made of them, that the kernel is not known to have taken.
    public var pendingByteCount: Int { layer.outgoingCount + outbound.pendingCount }

    /// Whether bytes wait that the channel has not confirmed.
    var hasPending: Bool { outbound.count > 0 || layer.outgoingCount > 0 }

    /// Whether the connection is being closed or reset, or has failed. What the application wrote before is still being
    /// written; nothing is read any more.
    public var isClosing: Bool {
        switch layer.phase {
        case .plain, .handshaking, .established: ending.isClosing
        case .failed, .detached, .closed: true
        }
    }

    /// Whether the application should go on writing. The channel's own `isWritable` says the same once the handshake is
    /// done; this also counts what waits for it.
    public var isWritable: Bool { pendingByteCount < options.writeWindow && !ending.isClosing }

    /// Keying material for the application or for channel binding; see `Connection.exportKeyingMaterial`.
    public func exportKeyingMaterial(label: String, context: [UInt8]?, length: Int) -> SecretBytes? {
        layer.exportKeyingMaterial(label: label, context: context, length: length)
    }

    /// Changes our sending key (RFC 8446 section 4.6.3).
    ///
    /// - Throws: as `Connection.updateKeys`; `closed` unless the connection is established.
    public func updateKeys(requestingPeer: Bool = false) throws {
        guard layer.phase == .established else { throw ConnectionError(.closed) }
        try layer.updateKeys(requestingPeer: requestingPeer)
        writeWaiting()
    }

    /// Gives back what an idle connection does not need. A `ConnectionRegistry` does this by itself.
    public func releaseIdleMemory() { layer.releaseIdleMemory() }

    /// Sets what makes the application's state when the connection moves. It is called on the event loop.
    public func provideState(_ provider: @escaping () throws -> [UInt8]) { stateProvider = provider }

    /// The application's state, from its provider; empty without one.
    func applicationState() throws -> [UInt8] { try stateProvider?() ?? [] }

    // MARK: The channel

    /// Handler of the pipeline; not to be called.
    public func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guard context.channel.isActive else { return }
        activate(context)
        // The handlers behind are yet to come.
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { handler.value.introduce() }
    }

    /// Handler of the pipeline; not to be called.
    public func handlerRemoved(context: ChannelHandlerContext) {
        if layer.phase != .detached { end(ChannelError.ioOnClosedChannel) }
        self.context = nil
    }

    /// Handler of the pipeline; not to be called.
    public func channelActive(context: ChannelHandlerContext) {
        activate(context)
        context.fireChannelActive()
        introduce()
    }

    private func activate(_ context: ChannelHandlerContext) {
        guard !isActive else { return }
        isActive = true
        if let since = suspendedAt {
            suspendedAt = nil
            registration?.notePause(since: since)
        }
        noteBasePosition(context)
        switch layer.phase {
        case .handshaking: beginHandshake()
        case .established, .plain: close(.activated)
        case .failed, .detached, .closed: break
        }
    }

    /// Gives what waits to the channel, as far as the window allows.
    func writeWaiting() {
        guard !isWriting, isActive, !layer.isGone else { return }
        isWriting = true
        while let context, fill(context) {
            context.flush()
            if layer.isGone { break }
        }
        isWriting = false
        guard !layer.isGone else { return }
        settlePromises()
        tellWritability()
        if ending.awaitsProgress { close(.progress) }
    }

    func tellWritability() {
        guard isWritable != wasWritable else { return }
        wasWritable.toggle()
        context?.fireChannelWritabilityChanged()
    }

    // MARK: The time limit

    func startTimer(_ limit: TimeAmount, _ body: @escaping (ConnectionHandler) -> Void) {
        stopTimer()
        guard let context else { return }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let action = NIOLoopBound(body, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: limit) { action.value(handler.value) }
    }

    func stopTimer() {
        timer?.cancel()
        timer = nil
    }

    // MARK: The registry

    func register(_ shard: ConnectionRegistry.Shard, _ id: ConnectionID) {
        registration = shard
        registeredID = id
    }

    func unregister() {
        if let registeredID { registration?.remove(registeredID) }
    }

    /// Nobody holds the connection any more.
    func tellRegistry() { registration?.becameIdle(self) }

    func noteUse() { isUsedSinceSweep = true }

    /// Gives memory back if the connection was not used since the last call.
    func sweep() {
        if isUsedSinceSweep { isUsedSinceSweep = false } else { releaseIdleMemory() }
    }
}

@available(*, unavailable)
extension ConnectionHandler: Sendable {}
