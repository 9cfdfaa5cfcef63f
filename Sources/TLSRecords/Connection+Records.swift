/// The connection for an owner that keeps the bytes itself: each record is opened and sealed from the owner's memory to the
/// owner's memory, and nothing of the stream waits here between two calls. `answersLater` is set.
extension Connection {
    /// What one record was.
    package enum OpenedPart: Equatable {
        /// Application data, as many bytes, at the output.
        case data(Int)
        /// The peer will send no more.
        case closeNotify
        /// Something for this side alone. Answers may have been queued (`takeAnswers`), and a message may have begun
        /// (`withFragments`).
        case message
    }

    /// How long the answers that one record brings about are at most: four warnings and a fatal alert, or a KeyUpdate; and
    /// what `seal` puts before its record.
    package static let controlRoom = 256

    /// The longest part of a message that is kept. A message that comes in records of more is refused.
    package static let longestFragments = 65_536

    /// Opens one record.
    ///
    /// - Parameters:
    ///   - record: the header and all that it announces, or as much as there is of one that is too long. It stays as it is.
    ///   - output: room for as many bytes as `record` has.
    /// - Throws: `TLSError` if the connection has ended by anything but a close_notify. The alert to send is queued.
    package mutating func open(
        _ record: UnsafeRawBufferPointer, to output: UnsafeMutableRawPointer
    ) throws(TLSError) -> OpenedPart {
        if let failure { throw failure }
        let header = RecordHeader(record)!
        if let error = check(header) { throw fail(error) }
        precondition(record.count == RecordHeader.length + header.length)
        guard let opened = reader.open(record.baseAddress!, header: header, to: output) else {
            throw fail(TLSError(.badRecord, alert: .badRecordMAC))
        }
        let content = opened.content(in: UnsafeRawBufferPointer(start: output, count: record.count))
        switch try admit(opened) {
        case .applicationData:
            return .data(opened.count)
        case .handshake:
            progress.handshake.append(content)
            while try nextMessage() != nil {}
            guard progress.handshake.count <= Connection.longestFragments else {
                throw fail(TLSError(.messageTooLong, alert: .internalError))
            }
        case .alert:
            if try process(AlertMessage(content)) == .closeNotify { return .closeNotify }
        default: break
        }
        return .message
    }

    /// Whether the header at the front of `bytes` announces a record that `open` takes or refuses, and how much of `bytes`
    /// is its; `nil` if more must come.
    package borrowing func firstRecord(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let header = RecordHeader(bytes) else { return nil }
        // A header that cannot be right is refused when it is opened, not waited for.
        guard check(header) == nil else { return bytes.count }
        let length = RecordHeader.length + header.length
        return bytes.count >= length ? length : nil
    }

    /// The longest record: a header and, in TLS 1.2, 2,048 bytes more than its content (RFC 5246 section 6.2.3).
    package static let longestRecord = RecordHeader.length + 16_384 + 2_048

    /// Seals `plaintext` as one record, a KeyUpdate before it if one is due.
    ///
    /// - Parameters:
    ///   - plaintext: at most `longestContent` bytes.
    ///   - output: room for it, `RecordProtection.overhead` and `controlRoom`.
    /// - Returns: how many bytes of `output` were written.
    /// - Throws: as `send` does.
    package mutating func seal(
        _ plaintext: UnsafeRawBufferPointer, to output: UnsafeMutableRawPointer
    ) throws(TLSError) -> Int {
        if let failure { throw failure }
        guard !isWriteClosed else { throw TLSError(.writeClosed) }
        precondition(plaintext.count <= longestContent)
        if progress.owesKeyUpdate { sendOwedKeyUpdate() }
        if info.version == .tls12 { try checkRoom(plaintext.count, inRecordsOf: longestContent) }
        updateKeyIfNeeded(blocks: RecordProtection.blocks(plaintext.count))
        let before = takeAnswers(to: output)
        progress.counters.noteSent(info.version)
        return before + writer.seal(.applicationData, plaintext, to: output + before)
    }

    /// The most content that one record carries.
    package var longestContent: Int { limits.contentLimit(info.version) }

    /// Moves what this side has to send by itself to `output`, which has `controlRoom`, and returns its length.
    package mutating func takeAnswers(to output: UnsafeMutableRawPointer) -> Int {
        let count = outgoingCount
        guard count > 0 else { return 0 }
        withOutgoing { bytes in bytes.withUnsafeBytes { output.copyMemory(from: $0.baseAddress!, byteCount: count) } }
        didWrite(count)
        return count
    }

    /// A handshake message of which a part has come.
    package borrowing func withFragments<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        progress.handshake.withBytes(body)
    }
}

// MARK: What changes from record to record

extension Connection {
    /// Where one direction stands under its key.
    package struct Position: Equatable {
        package var sequence: UInt64
        package var explicitNonce: UInt64
        package var blocks: UInt64
    }

    package var readPosition: Position { Position(reader) }
    package var writePosition: Position { Position(writer) }
    package var owesKeyUpdate: Bool { progress.owesKeyUpdate }

    /// Lends what the two directions' keys are derived from.
    package borrowing func withSecrets(
        _ body: (_ reading: UnsafeRawBufferPointer, _ writing: UnsafeRawBufferPointer) -> Void
    ) {
        reader.state.secret.withUnsafeBytes { reading in writer.state.secret.withUnsafeBytes { body(reading, $0) } }
    }

    /// What has been used up of the limits on what a peer may make us do for nothing, as a snapshot writes it.
    package var allowance: Allowance {
        Allowance(inARow: progress.counters.inARow, paidKeyUpdates: progress.counters.paidKeyUpdates)
    }

    package struct Allowance: Equatable {
        /// Four bytes.
        package var inARow: [UInt8]
        package var paidKeyUpdates: UInt32

        package init(inARow: [UInt8], paidKeyUpdates: UInt32) {
            self.inARow = inARow
            self.paidKeyUpdates = paidKeyUpdates
        }
    }
}

extension Connection.Position {
    fileprivate init(_ protection: borrowing RecordProtection) {
        self.init(
            sequence: protection.state.sequence, explicitNonce: protection.state.explicitNonce,
            blocks: protection.state.blocks)
    }
}
