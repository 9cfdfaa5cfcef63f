internal import BatonCore

extension Connection {
    /// Protects `plaintext` and queues it, as few records as the limits allow.
    ///
    /// Before the AEAD's limit the key is updated by itself (RFC 8446 section 5.5). TLS 1.2 cannot: it refuses.
    ///
    /// - Throws: `writeClosed` after `close()`, the connection's failure if it has ended, `keyExhausted` in TLS 1.2 if the
    ///   key may not protect all of `plaintext`. Nothing of `plaintext` is queued then, the connection can still be read,
    ///   and `close()` is what is left to do.
    public mutating func send(_ plaintext: RawSpan) throws(TLSError) {
        if let failure { throw failure }
        guard !isWriteClosed else { throw TLSError(.writeClosed) }
        // RFC 8446 section 4.6.3: the answer goes out before the next application data.
        if progress.owesKeyUpdate { sendOwedKeyUpdate() }
        let most = limits.contentLimit(info.version)
        if info.version == .tls12 { try checkRoom(plaintext.byteCount, inRecordsOf: most) }
        var position = 0
        while position < plaintext.byteCount {
            let count = min(most, plaintext.byteCount - position)
            updateKeyIfNeeded(blocks: RecordProtection.blocks(count))
            plaintext.extracting(position..<position + count).withUnsafeBytes { queue(.applicationData, $0) }
            progress.counters.noteSent(info.version)
            position += count
        }
    }

    /// Changes our sending key (RFC 8446 section 4.6.3).
    ///
    /// - Parameter requestingPeer: asks the peer to change its own too.
    /// - Throws: `noKeyUpdate` in TLS 1.2, `writeClosed` after `close()`, the failure if the connection has ended.
    public mutating func updateKeys(requestingPeer: Bool = false) throws(TLSError) {
        if let failure { throw failure }
        guard info.version == .tls13 else { throw TLSError(.noKeyUpdate) }
        guard !isWriteClosed else { throw TLSError(.writeClosed) }
        queueKeyUpdate(requestingPeer: requestingPeer)
    }

    /// Queues our close_notify. The peer may go on sending (RFC 8446 section 6.1). Calling it again does nothing.
    public mutating func close() {
        guard !isWriteClosed else { return }
        queueAlert(level: 1, .closeNotify)
        progress.isWriteClosed = true
        progress.owesKeyUpdate = false
    }

    /// Ends the connection with a fatal alert (RFC 8446 section 6.2) for a reason of the application's, as `access_denied`.
    /// Nothing more is read.
    package mutating func refuse(with alert: Alert) {
        guard failure == nil else { return }
        if !isWriteClosed { queueAlert(level: 2, alert) }
        _ = end(TLSError(.writeClosed, alert: alert))
    }

    /// Ciphertext that waits to be written, in bytes.
    public var outgoingCount: Int { progress.outgoing.count }

    /// Lends the ciphertext that waits; follow with `didWrite`.
    public borrowing func withOutgoing<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        try progress.outgoing.withBytes { (bytes) throws(E) in try body(bytes.bytes) }
    }

    /// Says that the transport took the first `n` waiting bytes. At most `outgoingCount`; a negative number, which is how
    /// write(2) says that it took nothing, counts as 0.
    public mutating func didWrite(_ n: Int) {
        guard n > 0 else { return }
        progress.outgoing.consume(n)
        if progress.outgoing.isEmpty, progress.owesKeyUpdate, !answersLater { sendOwedKeyUpdate() }
    }

    // MARK: What the receiving side queues

    package mutating func sendOwedKeyUpdate() {
        guard !isWriteClosed else { return }
        queueKeyUpdate(requestingPeer: false)
    }

    mutating func queueWarning(_ alert: Alert) {
        guard !isWriteClosed else { return }
        queueAlert(level: 1, alert)
    }

    /// Ends the connection for a reason the peer is told.
    mutating func fail(_ error: TLSError) -> TLSError {
        if let alert = error.alert, !isWriteClosed { queueAlert(level: 2, alert) }
        return end(error)
    }

    /// Ends the connection; what was received and not opened is dropped, what was queued stays.
    mutating func end(_ error: TLSError) -> TLSError {
        progress.failure = error
        progress.isWriteClosed = true
        progress.owesKeyUpdate = false
        progress.unread = UnreadPlaintext()
        progress.inbound.removeAll()
        progress.handshake.removeAll()
        return error
    }

    // MARK: Records

    /// How many blocks one key may protect: the application may set less than the AEAD's limit, not more.
    private var blockLimit: UInt64 { min(limits.blocksPerKey ?? .max, info.suite.aead.defaultBlockLimit) }

    /// TLS 1.2 cannot change its key, so nothing of a call that would go beyond the limit is sent: a stream that ended
    /// in the middle of it would look whole.
    borrowing func checkRoom(_ count: Int, inRecordsOf most: Int) throws(TLSError) {
        let blocks = UInt64(count / most) * RecordProtection.blocks(most) + RecordProtection.blocks(count % most)
        guard writer.maySeal(blocks: blocks, limit: blockLimit) else { throw TLSError(.keyExhausted) }
    }

    /// RFC 8446 section 5.5.
    mutating func updateKeyIfNeeded(blocks: UInt64) {
        guard info.version == .tls13, writer.state.blocks > 0, !writer.maySeal(blocks: blocks, limit: blockLimit) else {
            return
        }
        queueKeyUpdate(requestingPeer: false)
    }

    private mutating func queueKeyUpdate(requestingPeer: Bool) {
        let message: [5 of UInt8] = [HandshakeMessage.Kind.keyUpdate.rawValue, 0, 0, 1, requestingPeer ? 1 : 0]
        withUnsafeBytes(of: message) { queue(.handshake, $0) }
        writer.updateSecret()
        progress.owesKeyUpdate = false
    }

    private mutating func queueAlert(level: UInt8, _ alert: Alert) {
        let message: [2 of UInt8] = [level, alert.rawValue]
        withUnsafeBytes(of: message) { queue(.alert, $0) }
    }

    private mutating func queue(_ type: ContentType, _ plaintext: UnsafeRawBufferPointer) {
        Connection.queue(type, plaintext, with: &writer, on: &progress.outgoing)
    }

    private static func queue(
        _ type: ContentType, _ plaintext: UnsafeRawBufferPointer, with writer: inout RecordProtection,
        on outgoing: inout ByteQueue
    ) {
        outgoing.append(minimum: plaintext.count + RecordProtection.overhead(writer.suite)) {
            writer.seal(type, plaintext, to: $0.baseAddress!)
        }
    }
}
