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

    enum Phase {
        case plain, handshaking, established
        /// The connection has failed: an alert may still wait to be written.
        case failed
        case detached, closed
    }

    /// How far closing has come.
    enum Closing {
        case no
        /// What waits is written first.
        case writing
        /// Our side has ended; what the peer still sends is thrown away until it ends too.
        case lingering
        /// What waits is written and acknowledged first; then the connection is reset.
        case resetting
    }

    /// What was written and waits for the handshake's end.
    struct Waiting {
        var bytes: ByteBuffer
        var promise: EventLoopPromise<Void>?
    }

    /// How it behaves.
    public let options: ConnectionOptions

    /// What is known of the connection beside TLS; travels with it.
    public var metadata: ParcelMetadata

    /// A client's session, to be resumed later; set when the handshake is done, if the server gave a ticket by then.
    public internal(set) var clientSession: ClientSession?

    /// Application-data records whose plaintext was handed to the application here. One that a former owner opened and
    /// did not hand on counts here.
    public internal(set) var recordsReceived: UInt64 = 0

    var context: ChannelHandlerContext?
    var phase: Phase
    var closing = Closing.no
    var handshake: Handshake?
    var connection: Connection?
    var unconfirmed = UnconfirmedWrites()
    /// The kernel's write position before the first byte of `unconfirmed`; `nil` where the kernel does not tell.
    var basePosition: UInt64?
    /// Plaintext for the record layer, while the handshake goes on.
    var unsealed = CircularBuffer<Waiting>()
    /// Bytes to be sent as they are, before everything else.
    var plain = CircularBuffer<ByteBuffer>()
    var plainCount = 0
    var unsealedCount = 0
    /// Writes of the application by the position at which they end.
    var promises = CircularBuffer<(position: UInt64, promise: EventLoopPromise<Void>)>()
    /// Bytes of a plain connection that were read and that the application has not asked for: a former owner's, and what
    /// the channel reads by itself once the peer has ended its side.
    var received = CircularBuffer<ByteBuffer>()
    var closePromises: [EventLoopPromise<Void>] = []
    var closesOutput = false
    var hasClosedOutput = false
    /// Whether the FIN left after `basePosition` was noted; not so if a former owner sent it.
    var countsFIN = false
    var postponed: Event?
    var isReadWanted = false
    var isPumping = false
    var isDraining = false
    /// Plaintext bytes handed on since the application was last told that a read is complete; `nil`: none.
    var delivered: Int?
    /// The peer has sent its FIN. It comes behind what waits to be read.
    var isInputEnded = false
    /// The channel is gone, and with it the chance to be asked for what waits.
    var isTransportGone = false
    /// Why the channel has failed, if it has.
    var transportError: (any Error)?
    var hasToldInputClosed = false
    var isActive = false
    var wasWritable = true
    var timer: Scheduled<Void>?
    weak var registration: ConnectionRegistry.Shard?
    var registeredID: ConnectionID?
    var stateProvider: (() throws -> [UInt8])?
    var isUsedSinceSweep = true

    /// Whether the connection is not to be offered to a successor: it was declined, or the application wants it to end here.
    public var staysHere = false

    /// A connection without TLS, for now or for good.
    public init(plain options: ConnectionOptions = .init(), metadata: ParcelMetadata = .init()) {
        self.options = options
        self.metadata = metadata
        phase = .plain
    }

    /// A connection that begins with a handshake. What is written before its end waits for it.
    public init(
        _ handshake: consuming Handshake, options: ConnectionOptions = .init(), metadata: ParcelMetadata = .init()
    ) {
        self.options = options
        self.metadata = metadata
        phase = .handshaking
        self.handshake = consume handshake
    }

    /// A connection that is established.
    public init(
        _ connection: consuming Connection, options: ConnectionOptions = .init(), metadata: ParcelMetadata = .init()
    ) {
        self.options = options
        self.metadata = metadata
        phase = .established
        self.connection = consume connection
    }

    /// What the handshake settled; `nil` for plain connections and before the end of the handshake.
    public var info: ConnectionInfo? {
        switch connection {
        case .some(let connection): connection.info
        case .none: nil
        }
    }

    /// Whether the connection is without TLS, for now or for good.
    public var isPlain: Bool { phase == .plain }

    /// Bytes of the application's, or ciphertext made of them, that the kernel is not known to have taken.
    public var pendingByteCount: Int { outgoingCount + unconfirmed.count + plainCount + unsealedCount }

    /// Whether the connection is being closed or reset, or has failed. What the application wrote before is still being
    /// written; nothing is read any more.
    public var isClosing: Bool {
        switch phase {
        case .plain, .handshaking, .established: closing != .no
        case .failed, .detached, .closed: true
        }
    }

    /// Whether the application should go on writing. The channel's own `isWritable` says the same once the handshake is
    /// done; this also counts what waits for it.
    public var isWritable: Bool { pendingByteCount < options.writeWindow && closing == .no }

    /// Keying material for the application or for channel binding; see `Connection.exportKeyingMaterial`.
    public func exportKeyingMaterial(label: String, context: [UInt8]?, length: Int) -> SecretBytes? {
        connection?.exportKeyingMaterial(label: label, context: context, length: length)
    }

    /// Changes our sending key (RFC 8446 section 4.6.3).
    ///
    /// - Throws: as `Connection.updateKeys`; `closed` unless the connection is established.
    public func updateKeys(requestingPeer: Bool = false) throws {
        guard phase == .established else { throw ConnectionError(.closed) }
        try connection?.updateKeys(requestingPeer: requestingPeer)
        drain()
    }

    /// Gives back what an idle connection does not need. A `ConnectionRegistry` does this by itself.
    public func releaseIdleMemory() { connection?.releaseIdleMemory() }

    var outgoingCount: Int {
        switch connection {
        case .some(let connection): return connection.outgoingCount
        case .none: break
        }
        switch handshake {
        case .some(let handshake): return handshake.outgoingCount
        case .none: return 0
        }
    }
}

@available(*, unavailable)
extension ConnectionHandler: Sendable {}
