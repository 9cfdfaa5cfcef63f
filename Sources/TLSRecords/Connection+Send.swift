extension Connection {
    /// Protects `plaintext` and queues it, as few records as the limits allow.
    ///
    /// Before the AEAD's limit the key is updated by itself (RFC 8446 section 5.5); TLS 1.2 cannot, and ends.
    ///
    /// - Throws: `writeClosed` after `close()`, the connection's failure if it has ended, `keyExhausted` in TLS 1.2. What
    ///   was queued before stays queued.
    public mutating func send(_ plaintext: RawSpan) throws(TLSError) {
        if let failure { throw failure }
        guard !isWriteClosed else { throw TLSError(.writeClosed) }
        // RFC 8446 section 4.6.3: the answer goes out before the next application data.
        if progress.owesKeyUpdate { sendOwedKeyUpdate() }
        let most = limits.contentLimit(info.version)
        var position = 0
        while position < plaintext.byteCount {
            let count = min(most, plaintext.byteCount - position)
            try makeRoom(blocks: RecordProtection.blocks(count))
            plaintext.extracting(position..<position + count).withUnsafeBytes { queue(.applicationData, $0) }
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

    /// Ciphertext that waits to be written, in bytes.
    public var outgoingCount: Int { progress.outgoing.count }

    /// Lends the ciphertext that waits; follow with `didWrite`.
    public borrowing func withOutgoing<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        try progress.outgoing.withBytes { (bytes) throws(E) in try body(bytes.bytes) }
    }

    /// Says that the transport took the first `n` waiting bytes. At most `outgoingCount`.
    public mutating func didWrite(_ n: Int) {
        progress.outgoing.consume(n)
        if progress.outgoing.isEmpty, progress.owesKeyUpdate { sendOwedKeyUpdate() }
    }

    // MARK: What the receiving side queues

    mutating func sendOwedKeyUpdate() {
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

    /// Sees to it that the key may protect `blocks` more blocks.
    private mutating func makeRoom(blocks: UInt64) throws(TLSError) {
        let limit = limits.blocksPerKey ?? info.suite.aead.defaultBlockLimit
        guard !writer.maySeal(blocks: blocks, limit: limit) else { return }
        guard info.version == .tls13 else {
            close()
            throw end(TLSError(.keyExhausted))
        }
        if writer.state.blocks > 0 { queueKeyUpdate(requestingPeer: false) }
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
