public import BatonCore

/// An established TLS connection as a value: ciphertext in, events and plaintext out; plaintext in, ciphertext out.
///
/// It does no I/O, reads no clock and holds no descriptor, so it runs under any event loop. It is noncopyable:
/// `suspend()` consumes it, and code that touches it afterwards does not compile. That is the first half of the rule
/// everything here serves, that at most one holder of a connection may ever encrypt.
///
/// ```swift
/// connection.receive(bytesFromTheSocket)
/// while let event = try connection.nextEvent() {
///     if case .applicationData = event { connection.withUnread { use($0) }; connection.consumeUnread(...) }
/// }
/// try connection.send(answer)
/// let taken = connection.withOutgoing { span in span.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) } }
/// connection.didWrite(taken)
/// ```
///
/// What it does not do: handshakes (see `TLSHandshake`), timeouts, backpressure. Callers bound what waits with
/// `inboundCount` and `outgoingCount`.
public struct Connection: ~Copyable, Sendable {
    /// What the handshake settled.
    public let info: ConnectionInfo
    /// The sizes and counts the connection keeps to.
    public let limits: RecordLimits

    var reader: RecordProtection
    var writer: RecordProtection
    let exporter: SecretBytes?
    let resumption: SecretBytes?
    var progress: Progress
    /// The owner keeps ciphertext of its own that goes first: an owed KeyUpdate waits until the owner asks for it.
    package var answersLater = false

    /// Takes a connection over. The snapshot is consumed: it cannot be resumed twice.
    public init(resuming snapshot: consuming Snapshot) {
        info = snapshot.info
        limits = snapshot.limits
        reader = RecordProtection(suite: snapshot.info.suite, state: snapshot.read)
        writer = RecordProtection(suite: snapshot.info.suite, state: snapshot.write)
        exporter = snapshot.exporter
        resumption = snapshot.resumption
        progress = snapshot.progress
    }

    /// Stops the connection and returns everything TLS knows of it. It never refuses: partial records, half-read
    /// messages, unread plaintext, unsent ciphertext, an owed KeyUpdate and half-closed states all travel.
    ///
    /// From here on this holder must write nothing to the transport: no alert, no close_notify, no shutdown.
    public consuming func suspend() -> Snapshot {
        Snapshot(
            info: info, limits: limits, read: reader.intoState(), write: writer.intoState(), exporter: exporter,
            resumption: resumption, progress: progress)
    }

    /// Whether the peer's close_notify has arrived.
    public var isReadClosed: Bool { progress.isReadClosed }

    /// Whether our close_notify or a fatal alert has been queued; `send` is refused from then on.
    public var isWriteClosed: Bool { progress.isWriteClosed }

    /// Why the connection has ended, if it has.
    public var failure: TLSError? { progress.failure }

    /// Frees what an idle connection does not need: cipher contexts and empty buffers. Secrets and counters stay, and
    /// the next record brings the rest back.
    public mutating func releaseIdleMemory() {
        reader.dropContext()
        writer.dropContext()
        progress.inbound.releaseIfEmpty()
        progress.handshake.releaseIfEmpty()
        progress.outgoing.releaseIfEmpty()
    }

    /// Keying material for the application or for channel binding (RFC 8446 section 7.5; RFC 5705 for TLS 1.2).
    ///
    /// - Parameters:
    ///   - label: as registered, for example `EXPORTER-Channel-Binding`; at most 249 bytes.
    ///   - context: TLS 1.2 tells an empty context from none; pass `nil` for none.
    ///   - length: bytes wanted, 1 to 255 times the suite's hash length (32 or 48).
    /// - Returns: `nil` if the handshake library gave no exporter secret, or a bound is exceeded.
    public borrowing func exportKeyingMaterial(label: String, context: [UInt8]?, length: Int) -> SecretBytes? {
        guard length > 0, length <= 255 * info.suite.hash.length, label.utf8.count <= 249,
            (context?.count ?? 0) <= 0xFFFF
        else {
            return nil
        }
        switch exporter {
        case .none: return nil
        case .some(let secret):
            return KeySchedule.export(secret: secret, label: label, context: context, length: length, suite: info.suite)
        }
    }
}
