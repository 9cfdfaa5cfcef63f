internal import BatonCore

extension Connection {
    /// Takes ciphertext as it came from the transport, in pieces of any size. What arrives after the peer's close_notify
    /// or after a failure is dropped (RFC 8446 section 6.1).
    public mutating func receive(_ ciphertext: RawSpan) {
        guard mayReceive else { return }
        ciphertext.withUnsafeBytes { progress.inbound.append($0) }
    }

    /// Lets `read` put ciphertext straight into the connection's buffer, which saves a copy.
    ///
    /// - Parameters:
    ///   - size: room to offer, in bytes; more may be.
    ///   - read: fills a prefix and returns its length, as `read(2)` does; a negative number counts as nothing read.
    /// - Returns: what `read` returned.
    @discardableResult
    public mutating func receive<E: Error>(
        upTo size: Int, _ read: (UnsafeMutableRawBufferPointer) throws(E) -> Int
    ) throws(E) -> Int {
        let count = try progress.inbound.append(minimum: size, read)
        if !mayReceive { progress.inbound.removeAll() }
        return count
    }

    /// Says what time it is. A peer may send a certain number of records that carry nothing, KeyUpdates among them, in a
    /// row, and may begin anew every second; where no time is told, only application data lets it.
    ///
    /// - Parameter now: milliseconds of any clock that does not go back.
    public mutating func noteTime(_ now: UInt64) {
        guard let since = progress.countedSince else {
            progress.countedSince = now
            return
        }
        guard now >= since, now - since >= Counters.rowDuration else { return }
        progress.countedSince = now
        progress.counters.beginAnew()
    }

    /// Says that the transport has ended.
    ///
    /// What has arrived is still there to be read, and a close_notify may be among it: after this call `nextEvent()` goes
    /// on until it returns `nil` in order, or throws `truncated` because no close_notify came (RFC 8446 section 6.1).
    public mutating func receiveEnd() {
        progress.hasTransportEnded = true
    }

    /// Ciphertext that has arrived and has not been opened, in bytes. A caller that stops reading the transport while
    /// this or `unreadCount` is large bounds what a peer can make it hold.
    public var inboundCount: Int { progress.inbound.count - progress.unread.recordLength }

    /// Plaintext that waits to be read, in bytes.
    public var unreadCount: Int { progress.unread.count }

    /// Lends the plaintext that waits; follow with `consumeUnread`.
    public borrowing func withUnread<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        let unread = progress.unread
        return try progress.inbound.withBytes { (bytes) throws(E) in
            try body(UnsafeRawBufferPointer(rebasing: bytes[unread.offset..<unread.offset + unread.count]).bytes)
        }
    }

    /// Says that the first `n` bytes of the waiting plaintext have been read. At most `unreadCount`.
    public mutating func consumeUnread(_ n: Int) {
        precondition(n >= 0 && n <= progress.unread.count)
        progress.unread.offset += n
        progress.unread.count -= n
        if progress.unread.count == 0 {
            progress.inbound.consume(progress.unread.recordLength)
            progress.unread = UnreadPlaintext()
        }
    }

    /// Copies waiting plaintext to `output`, as much as fits, and consumes it.
    public mutating func read(into output: inout OutputRawSpan) {
        let count = min(output.freeCapacity, unreadCount)
        guard count > 0 else { return }
        withUnread { span in
            span.withUnsafeBytes { bytes in
                output.withUnsafeMutableBytes { target, initialized in
                    UnsafeMutableRawBufferPointer(rebasing: target[initialized...]).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                    initialized += count
                }
            }
        }
        consumeUnread(count)
    }

    /// The next thing that happened, or `nil` when more ciphertext is needed.
    ///
    /// - Throws: `TLSError` when the connection has ended by anything but a close_notify. The alert to send is queued.
    public mutating func nextEvent() throws(TLSError) -> Event? {
        if progress.unread.count > 0 { return .applicationData(progress.unread.count) }
        if let failure { throw failure }
        while true {
            if let event = try nextMessage() { return event }
            guard !isReadClosed else { return nil }
            guard let record = try openRecord() else {
                guard !progress.hasTransportEnded else { throw end(TLSError(.truncated)) }
                return nil
            }
            if let event = try process(record) { return event }
        }
    }

    private var mayReceive: Bool { !isReadClosed && failure == nil }

    // MARK: Records

    private struct Record {
        var opened: OpenedRecord
        var length: Int
    }

    /// Opens the record at the front, if it is there as a whole.
    private mutating func openRecord() throws(TLSError) -> Record? {
        guard let header = progress.inbound.withBytes({ RecordHeader($0) }) else { return nil }
        if let error = check(header) { throw fail(error) }
        let length = RecordHeader.length + header.length
        guard progress.inbound.count >= length else { return nil }
        let opened = Connection.open(header, with: &reader, in: &progress.inbound)
        guard let opened else { throw fail(TLSError(.badRecord, alert: .badRecordMAC)) }
        return Record(opened: opened, length: length)
    }

    private static func open(
        _ header: RecordHeader, with reader: inout RecordProtection, in inbound: inout ByteQueue
    ) -> OpenedRecord? {
        inbound.withMutableBytes { reader.open($0.baseAddress!, header: header) }
    }

    /// What a header alone can be wrong about, so that nobody makes us wait for a record we would refuse.
    borrowing func check(_ header: RecordHeader) -> TLSError? {
        switch info.version {
        case .tls13:
            // Everything is protected now and looks like application data; a change_cipher_spec was legal only during
            // the handshake (RFC 8446 section 5). legacy_record_version is ignored (section 5.1).
            guard header.type == ContentType.applicationData.rawValue else {
                return TLSError(.unexpectedRecord, alert: .unexpectedMessage)
            }
            guard header.length <= 16_384 + 256 else { return TLSError(.recordTooLong, alert: .recordOverflow) }
        case .tls12:
            guard header.version == TLSVersion.tls12.rawValue else {
                return TLSError(.wrongRecordVersion, alert: .protocolVersion)
            }
            guard let type = ContentType(rawValue: header.type), type != .changeCipherSpec else {
                return TLSError(.unexpectedRecord, alert: .unexpectedMessage)
            }
            guard header.length <= 16_384 + 2_048 else { return TLSError(.recordTooLong, alert: .recordOverflow) }
        }
        return nil
    }

    private mutating func process(_ record: Record) throws(TLSError) -> Event? {
        let opened = record.opened
        switch try admit(opened) {
        case .applicationData:
            progress.unread = UnreadPlaintext(
                recordLength: record.length, offset: opened.offset, count: opened.count)
            return .applicationData(opened.count)
        case .handshake:
            progress.inbound.withBytes { progress.handshake.append(opened.content(in: $0)) }
            progress.inbound.consume(record.length)
            return nil
        case .alert:
            let alert = progress.inbound.withBytes { AlertMessage(opened.content(in: $0)) }
            progress.inbound.consume(record.length)
            return try process(alert)
        default:
            progress.inbound.consume(record.length)
            return nil
        }
    }

    /// What an opened record is, if it may come now; `nil` if it carries nothing and need not.
    mutating func admit(_ opened: OpenedRecord) throws(TLSError) -> ContentType? {
        guard opened.innerLength <= limits.receiving else {
            throw fail(TLSError(.recordTooLong, alert: .recordOverflow))
        }
        let type = ContentType(rawValue: opened.type)
        switch type {
        case .applicationData:
            try checkInterleaving()
            guard opened.count > 0 else {
                try count(\.emptyRecords, most: Counters.most, else: .tooManyEmptyRecords)
                return nil
            }
            progress.counters.noteReceived()
        case .handshake, .alert:
            guard opened.count > 0 else { throw fail(TLSError(.emptyRecord, alert: .unexpectedMessage)) }
        case .changeCipherSpec, nil:
            let code: TLSError.Code = opened.type == 0 ? .emptyRecord : .unexpectedRecord
            throw fail(TLSError(code, alert: .unexpectedMessage))
        }
        return type
    }

    /// - Parameter message: `nil` if the record held none.
    mutating func process(_ message: AlertMessage?) throws(TLSError) -> Event? {
        guard let message else { throw fail(TLSError(.malformedAlert, alert: .decodeError)) }
        let alert = message.description
        if alert == .closeNotify {
            try checkInterleaving()
            progress.isReadClosed = true
            progress.inbound.removeAll()
            progress.handshake.removeAll()
            return .closeNotify
        }
        // RFC 8446 section 6: in TLS 1.3 the level says nothing, and all but these two are fatal.
        let isWarning: Bool
        switch info.version {
        case .tls13: isWarning = alert == .userCanceled
        case .tls12:
            guard (1...2).contains(message.level) else {
                throw fail(TLSError(.malformedAlert, alert: .illegalParameter))
            }
            isWarning = message.level == 1
        }
        // Whoever has ended the connection by a fatal alert is not told what else was wrong.
        guard isWarning else { throw end(TLSError(.peerAlert, alert: alert)) }
        try checkInterleaving()
        try count(\.warnings, most: Counters.maxWarnings, else: .tooManyWarnings)
        return nil
    }

    /// TLS 1.3 allows no other record between the fragments of a handshake message (RFC 8446 section 5.1). TLS 1.2 does,
    /// and wants application data processed there (RFC 5246 section 6.2.1).
    private mutating func checkInterleaving() throws(TLSError) {
        guard progress.handshake.isEmpty || info.version == .tls12 else {
            throw fail(TLSError(.interleavedMessage, alert: .unexpectedMessage))
        }
    }

    // MARK: Post-handshake messages

    /// Takes one whole message off the handshake bytes.
    mutating func nextMessage() throws(TLSError) -> Event? {
        while progress.handshake.count >= HandshakeMessage.headerLength {
            let header = progress.handshake.withBytes { HandshakeMessage.Header($0) }
            // A message that is not taken, or is too long, is refused before it is waited for.
            guard HandshakeMessage.isExpected(header.kind, info.version, info.role) else {
                throw fail(TLSError(.unexpectedMessage, alert: .unexpectedMessage))
            }
            if header.kind == HandshakeMessage.Kind.keyUpdate.rawValue, header.length != 1 {
                throw fail(TLSError(.malformedMessage, alert: .decodeError))
            }
            guard header.length <= HandshakeMessage.longest else {
                throw fail(TLSError(.messageTooLong, alert: .decodeError))
            }
            let length = HandshakeMessage.headerLength + header.length
            guard progress.handshake.count >= length else { return nil }
            let event = try process(header, length: length)
            if let event { return event }
        }
        return nil
    }

    private mutating func process(
        _ header: HandshakeMessage.Header, length: Int
    ) throws(TLSError) -> Event? {
        switch (HandshakeMessage.Kind(rawValue: header.kind), info.version, info.role) {
        case (.keyUpdate, .tls13, _):
            return try processKeyUpdate(length)
        case (.newSessionTicket, .tls13, .client):
            let ticket = progress.handshake.withBytes {
                SessionTicket(UnsafeRawBufferPointer(rebasing: $0[HandshakeMessage.headerLength..<length]))
            }
            progress.handshake.consume(length)
            guard let ticket else { throw fail(TLSError(.malformedMessage, alert: .decodeError)) }
            try count(\.messages, most: Counters.most, else: .tooManyTickets)
            return .sessionTicket(ticket)
        case (.helloRequest, .tls12, .client), (.clientHello, .tls12, .server):
            progress.handshake.consume(length)
            try count(\.renegotiations, most: Counters.maxRenegotiations, else: .tooManyRenegotiations)
            queueWarning(.noRenegotiation)
            return nil
        default:
            throw fail(TLSError(.unexpectedMessage, alert: .unexpectedMessage))
        }
    }

    /// RFC 8446 section 4.6.3.
    private mutating func processKeyUpdate(_ length: Int) throws(TLSError) -> Event {
        guard progress.handshake.count == length else {
            throw fail(TLSError(.keyUpdateInsideRecord, alert: .unexpectedMessage))
        }
        let request = progress.handshake.withBytes { $0[HandshakeMessage.headerLength] }
        progress.handshake.removeAll()
        guard request <= 1 else { throw fail(TLSError(.malformedMessage, alert: .illegalParameter)) }
        if progress.counters.paidKeyUpdates > 0 {
            progress.counters.paidKeyUpdates -= 1
        } else {
            try count(\.messages, most: Counters.most, else: .tooManyKeyUpdates)
        }
        reader.updateSecret()
        if request == 1, !isWriteClosed {
            // One answer serves every request that came before it. It waits while earlier ciphertext does, so a peer
            // that asks again and again without reading cannot make us queue many.
            progress.owesKeyUpdate = true
            if progress.outgoing.isEmpty, !answersLater { sendOwedKeyUpdate() }
        }
        return .keyUpdate(requested: request == 1)
    }

    private mutating func count(
        _ counter: WritableKeyPath<Counters, UInt8>, most: UInt8, else code: TLSError.Code
    ) throws(TLSError) {
        guard progress.counters[keyPath: counter] < most else {
            throw fail(TLSError(code, alert: .unexpectedMessage))
        }
        progress.counters[keyPath: counter] += 1
    }
}
