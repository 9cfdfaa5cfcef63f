package import BatonCore

/// Everything TLS knows of a connection at one instant: the connection, at rest.
///
/// It can be written down (`encoded()`, `Sealer`) and read again, and it can become a connection exactly once in this
/// process because `Connection.init(resuming:)` consumes it. It is noncopyable and prints nothing of what it holds.
public struct Snapshot: ~Copyable, Sendable {
    /// What the handshake settled.
    public let info: ConnectionInfo
    /// The sizes and counts the connection keeps to.
    public let limits: RecordLimits
    var read: DirectionState
    var write: DirectionState
    let exporter: SecretBytes?
    let resumption: SecretBytes?
    var progress: Progress

    init(
        info: ConnectionInfo, limits: RecordLimits, read: consuming DirectionState, write: consuming DirectionState,
        exporter: consuming SecretBytes?, resumption: consuming SecretBytes?, progress: consuming Progress
    ) {
        self.info = info
        self.limits = limits
        self.read = read
        self.write = write
        self.exporter = exporter
        self.resumption = resumption
        self.progress = progress
    }

    /// A connection whose handshake has just ended.
    ///
    /// - Parameters:
    ///   - info: what the handshake settled.
    ///   - limits: `nil` for those of the version.
    ///   - read: what the peer seals with.
    ///   - write: what we seal with.
    ///   - exporter: TLS 1.3: the exporter secret. TLS 1.2: master secret (48 bytes), client random, server random.
    ///   - resumption: the resumption secret, where the library gives it.
    ///   - inbound: ciphertext received behind the handshake.
    ///   - outgoing: ciphertext the library produced that the transport has not taken.
    /// - Returns: `nil` if a secret's length does not fit the suite, or a limit is out of range.
    package init?(
        established info: ConnectionInfo, limits: RecordLimits? = nil, read: consuming DirectionState,
        write: consuming DirectionState, exporter: consuming SecretBytes?, resumption: consuming SecretBytes? = nil,
        inbound: UnsafeRawBufferPointer = .init(start: nil, count: 0),
        outgoing: UnsafeRawBufferPointer = .init(start: nil, count: 0)
    ) {
        var progress = Progress()
        progress.inbound.append(inbound)
        progress.outgoing.append(outgoing)
        self.init(
            info: info, limits: limits ?? RecordLimits(info.version), read: read, write: write, exporter: exporter,
            resumption: resumption, progress: progress)
        guard firstImpossibility == nil else { return nil }
    }

    /// Ciphertext that waits to be written, in bytes: what the next holder writes first, byte for byte.
    public var outgoingCount: Int { progress.outgoing.count }

    /// Lends the ciphertext that waits.
    package borrowing func withOutgoing<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try progress.outgoing.withBytes(body)
    }

    /// Adds received ciphertext behind what is there: bytes a front has read and not opened.
    package mutating func appendInbound(_ bytes: UnsafeRawBufferPointer) {
        guard !progress.isReadClosed, progress.failure == nil else { return }
        progress.inbound.append(bytes)
    }

    /// The bytes on their way, of which a snapshot may hold `longest` at most.
    package var waitingCount: Int { progress.inbound.count + progress.handshake.count + progress.outgoing.count }

    /// The peer's close_notify has been read by somebody else, behind all that was received.
    package mutating func endReading() {
        progress.inbound.removeAll()
        progress.unread = UnreadPlaintext()
        progress.handshake.removeAll()
        progress.isReadClosed = true
    }

    /// Puts bytes back in front of the ciphertext that waits: they were given to a transport that never took them.
    package mutating func prependOutgoing(_ bytes: consuming ByteQueue) {
        progress.outgoing.withBytes { bytes.append($0) }
        progress.outgoing = bytes
    }
}
