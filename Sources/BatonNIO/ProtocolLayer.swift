internal import NIOCore
internal import TLSHandshake
internal import TLSRecords

/// What a connection speaks at the moment: nothing above TCP, a handshake, or the records of an established connection. It
/// does no I/O.
struct ProtocolLayer: ~Copyable {
    enum Phase {
        case plain, handshaking, established
        /// The connection has failed: an alert may still wait to be written.
        case failed
        case detached, closed
    }

    private(set) var phase: Phase
    private var handshake: Handshake?
    private var connection: Connection?

    init() { phase = .plain }

    init(_ handshake: consuming Handshake) {
        phase = .handshaking
        self.handshake = consume handshake
    }

    init(_ connection: consuming Connection) {
        phase = .established
        self.connection = consume connection
    }

    /// Whether the connection has left this owner, by its end or by a move.
    var isGone: Bool { phase == .detached || phase == .closed }

    // MARK: Phases

    mutating func begin(_ handshake: consuming Handshake) {
        self.handshake = consume handshake
        phase = .handshaking
    }

    /// - Returns: a client's session, if the server gave a ticket by then; what a server's certificates say, if that is read.
    mutating func establish() throws(HandshakeError) -> (session: ClientSession?, facts: HandshakeFacts?) {
        let session = try handshake?.clientSession()
        let facts = handshake?.facts
        connection = try handshake.take()?.connection()
        phase = .established
        return (session, facts)
    }

    /// Queues a fatal alert, if the connection is established.
    mutating func refuse(with alert: Alert) { connection?.refuse(with: alert) }

    mutating func fail() { phase = .failed }

    mutating func detach() { phase = .detached }

    mutating func close() { phase = .closed }

    /// Lets go of all secrets, which zeroes them.
    mutating func clear() {
        connection = nil
        handshake = nil
    }

    /// The connection as it is, to be resumed elsewhere; `nil` if there is none.
    mutating func suspend() -> Snapshot? { connection.take()?.suspend() }

    // MARK: The handshake

    /// - Returns: whether the handshake is done.
    mutating func advanceHandshake() throws -> Bool {
        guard phase == .handshaking else { return false }
        return try handshake?.advance() == .established
    }

    mutating func endHandshakeInput() throws { try handshake?.receiveEnd() }

    // MARK: In

    mutating func receive(_ buffer: ByteBuffer) {
        buffer.withUnsafeReadableBytes { bytes in
            if connection != nil { connection!.receive(bytes.bytes) } else { handshake?.receive(bytes.bytes) }
        }
    }

    mutating func noteTime(_ milliseconds: UInt64) { connection?.noteTime(milliseconds) }

    mutating func receiveEnd() { connection?.receiveEnd() }

    mutating func nextEvent() throws(TLSError) -> Event? {
        guard connection != nil else { return nil }
        return try connection!.nextEvent()
    }

    var unreadCount: Int {
        switch connection {
        case .some(let connection): connection.unreadCount
        case .none: 0
        }
    }

    mutating func readUnread(_ count: Int, into buffer: inout ByteBuffer?) {
        connection?.withUnread { span in
            span.withUnsafeBytes { bytes in
                _ = buffer?.writeBytes(bytes)
            }
        }
        connection?.consumeUnread(count)
    }

    /// Whether the peer has sent close_notify.
    var isReadClosed: Bool {
        switch connection {
        case .some(let connection): connection.isReadClosed
        case .none: false
        }
    }

    // MARK: Out

    /// Protects `buffer`.
    mutating func send(_ buffer: ByteBuffer) throws(TLSError) {
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

    mutating func updateKeys(requestingPeer: Bool) throws { try connection?.updateKeys(requestingPeer: requestingPeer) }

    /// Queues close_notify, if the connection is established.
    mutating func closeOutput() {
        if phase == .established { connection?.close() }
    }

    /// Whether close_notify is queued or sent, here or at a former owner.
    var isWriteClosed: Bool {
        switch connection {
        case .some(let connection): connection.isWriteClosed
        case .none: false
        }
    }

    /// Bytes to be sent.
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

    /// Takes out the first `count` bytes to be sent.
    mutating func takeOutgoing(_ count: Int, _ allocator: ByteBufferAllocator) -> ByteBuffer {
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

    // MARK: What it is

    var info: ConnectionInfo? {
        switch connection {
        case .some(let connection): connection.info
        case .none: nil
        }
    }

    /// Whether the connection has broken.
    var hasFailed: Bool {
        switch connection {
        case .some(let connection): connection.failure != nil
        case .none: false
        }
    }

    func exportKeyingMaterial(label: String, context: [UInt8]?, length: Int) -> SecretBytes? {
        switch connection {
        case .some(let connection): connection.exportKeyingMaterial(label: label, context: context, length: length)
        case .none: nil
        }
    }

    mutating func releaseIdleMemory() { connection?.releaseIdleMemory() }
}
