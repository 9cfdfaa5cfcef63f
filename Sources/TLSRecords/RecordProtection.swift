internal import COpenSSL

/// Seals or opens the records of one direction (RFC 8446 section 5.2; RFC 5246 section 6.2.3.3 with RFC 5288, RFC 7905).
///
/// It does not know record types beyond carrying them, keeps no buffers and does no I/O. The cipher context is made on
/// the first record and can be dropped; `state` is all there is to move.
package struct RecordProtection: ~Copyable, Sendable {
    package let suite: CipherSuite
    package private(set) var state: DirectionState
    private var context: AEADContext?

    package init(suite: CipherSuite, state: consuming DirectionState) {
        self.suite = suite
        self.state = state
        context = nil
    }

    /// The state, to be moved; what could still seal or open with it is gone.
    package consuming func intoState() -> DirectionState { state }

    /// Frees the cipher context; the next record makes it anew.
    package mutating func dropContext() { context = nil }

    /// Advances to the next traffic secret (TLS 1.3 only; RFC 8446 section 7.2).
    package mutating func updateSecret() {
        precondition(suite.version == .tls13)
        state = DirectionState(secret: KeySchedule.nextTrafficSecret(after: state.secret, hash: suite.hash))
        context = nil
    }

    // MARK: Sealing

    /// Bytes a sealed record is longer than its plaintext.
    package static func overhead(_ suite: CipherSuite) -> Int {
        switch suite.version {
        case .tls13: RecordHeader.length + 1 + AEAD.tagLength
        case .tls12: RecordHeader.length + suite.aead.tls12ExplicitNonceLength + AEAD.tagLength
        }
    }

    /// A bound on sequence numbers and blocks that no connection reaches and that leaves room before a wrap (RFC 8446
    /// section 5.3), so that an alert can still follow.
    package static let highestCount: UInt64 = 1 << 62

    /// Whether the key may protect `blocks` more blocks, and another sequence number is left.
    package func maySeal(blocks: UInt64, limit: UInt64) -> Bool {
        let limit = min(limit, RecordProtection.highestCount)
        return state.sequence < RecordProtection.highestCount && blocks <= limit && state.blocks <= limit - blocks
    }

    /// Blocks that a record of `count` plaintext bytes costs: its content, and one for the tag.
    package static func blocks(_ count: Int) -> UInt64 { UInt64((count + 16) / 16 + 1) }

    /// Writes one record to `output`, which has room for `overhead` more bytes than `plaintext`, and returns its length.
    package mutating func seal(
        _ type: ContentType, _ plaintext: UnsafeRawBufferPointer, to output: UnsafeMutableRawPointer
    ) -> Int {
        precondition(state.sequence < .max, "a sequence number must not wrap (RFC 8446 section 5.3)")
        prepareContext(.seal)
        let sequence = state.sequence
        state.sequence += 1
        state.blocks += RecordProtection.blocks(plaintext.count)
        let length: Int
        let sealed: Bool
        let nonce: Nonce
        switch suite.version {
        case .tls13:
            length = plaintext.count + 1 + AEAD.tagLength
            RecordHeader(type: .applicationData, length: length).write(to: output)
            nonce = context!.nonce(sequence: sequence)
            sealed = context!.seal(
                plaintext, trailer: Int32(type.rawValue), nonce: nonce,
                additionalData: UnsafeRawBufferPointer(start: output, count: RecordHeader.length),
                to: output + RecordHeader.length)
        case .tls12:
            let explicit = suite.aead.tls12ExplicitNonceLength
            length = explicit + plaintext.count + AEAD.tagLength
            RecordHeader(type: type, length: length).write(to: output)
            if explicit > 0 {
                // The explicit part may wrap from its random start; 2^64 records under one key are not reached.
                nonce = context!.nonce(explicit: state.explicitNonce)
                output.storeBytes(of: state.explicitNonce.bigEndian, toByteOffset: RecordHeader.length, as: UInt64.self)
                state.explicitNonce &+= 1
            } else {
                nonce = context!.nonce(sequence: sequence)
            }
            sealed = RecordProtection.withTLS12AdditionalData(sequence, type.rawValue, plaintext.count) {
                context!.seal(
                    plaintext, trailer: -1, nonce: nonce, additionalData: $0,
                    to: output + RecordHeader.length + explicit)
            }
        }
        precondition(sealed, "libcrypto could not encrypt a record")
        #if DEBUG
            NonceWitness.current?.sealed(key: state.secret, nonce: nonce)
        #endif
        return RecordHeader.length + length
    }

    // MARK: Opening

    /// Decrypts the record at `record` in place; `nil` if it does not authenticate, and then nothing has advanced,
    /// so the same bytes may not be used but another key may be tried on a copy.
    ///
    /// - Parameters:
    ///   - record: header and body, whole.
    ///   - header: the parsed header; its length is within the bounds of the version.
    package mutating func open(_ record: UnsafeMutableRawPointer, header: RecordHeader) -> OpenedRecord? {
        let offset = RecordHeader.length + (suite.version == .tls12 ? suite.aead.tls12ExplicitNonceLength : 0)
        guard var opened = open(record, header: header, to: record + offset) else { return nil }
        opened.offset = offset
        return opened
    }

    /// Decrypts the record at `record`, which stays as it is, to `output`; `nil` if it does not authenticate, and then
    /// nothing has advanced and what was written to `output` means nothing.
    ///
    /// - Parameters:
    ///   - record: header and body, whole.
    ///   - header: the parsed header; its length is within the bounds of the version.
    ///   - output: room for as many bytes as the body has; `offset` counts from there.
    package mutating func open(
        _ record: UnsafeRawPointer, header: RecordHeader, to output: UnsafeMutableRawPointer
    ) -> OpenedRecord? {
        guard state.sequence < .max else { return nil }
        prepareContext(.open)
        let opened: OpenedRecord?
        switch suite.version {
        case .tls13: opened = openTLS13(record, header, output)
        case .tls12: opened = openTLS12(record, header, output)
        }
        if opened != nil { state.sequence += 1 }
        return opened
    }

    private borrowing func openTLS13(
        _ record: UnsafeRawPointer, _ header: RecordHeader, _ output: UnsafeMutableRawPointer
    ) -> OpenedRecord? {
        let count = header.length - AEAD.tagLength
        guard count >= 1 else { return nil }
        let body = UnsafeRawBufferPointer(start: record + RecordHeader.length, count: header.length)
        let content = UnsafeMutableRawBufferPointer(start: output, count: count)
        guard
            context!.open(
                body, count: count, nonce: context!.nonce(sequence: state.sequence),
                additionalData: UnsafeRawBufferPointer(start: record, count: RecordHeader.length), to: content)
        else { return nil }
        // The type is the last byte that is not zero; all zeros is a record without one (RFC 8446 section 5.4).
        var end = count
        while end > 0, content[end - 1] == 0 { end -= 1 }
        guard end > 0 else { return OpenedRecord(type: 0, offset: 0, count: 0, innerLength: count) }
        return OpenedRecord(type: content[end - 1], offset: 0, count: end - 1, innerLength: count)
    }

    private borrowing func openTLS12(
        _ record: UnsafeRawPointer, _ header: RecordHeader, _ output: UnsafeMutableRawPointer
    ) -> OpenedRecord? {
        let explicit = suite.aead.tls12ExplicitNonceLength
        let count = header.length - explicit - AEAD.tagLength
        guard count >= 0 else { return nil }
        let nonce =
            explicit > 0
            ? context!.nonce(
                explicit: UInt64(bigEndian: record.loadUnaligned(fromByteOffset: RecordHeader.length, as: UInt64.self)))
            : context!.nonce(sequence: state.sequence)
        let body = UnsafeRawBufferPointer(
            start: record + RecordHeader.length + explicit, count: header.length - explicit)
        let content = UnsafeMutableRawBufferPointer(start: output, count: count)
        let opened = RecordProtection.withTLS12AdditionalData(state.sequence, header.type, count) {
            context!.open(body, count: count, nonce: nonce, additionalData: $0, to: content)
        }
        guard opened else { return nil }
        return OpenedRecord(type: header.type, offset: 0, count: count, innerLength: count)
    }

    /// seq_num + type + version + length (RFC 5246 section 6.2.3.3).
    @inline(__always)
    private static func withTLS12AdditionalData<R>(
        _ sequence: UInt64, _ type: UInt8, _ count: Int, _ body: (UnsafeRawBufferPointer) -> R
    ) -> R {
        var data: InlineArray<16, UInt8> = .init(repeating: 0)
        for index in 0..<8 { data[index] = UInt8(truncatingIfNeeded: sequence >> (56 - 8 * UInt64(index))) }
        data[8] = type
        data[9] = 3
        data[10] = 3
        data[11] = UInt8(truncatingIfNeeded: count >> 8)
        data[12] = UInt8(truncatingIfNeeded: count)
        return withUnsafeBytes(of: &data) { body(UnsafeRawBufferPointer(rebasing: $0[..<13])) }
    }

    @inline(__always)
    private mutating func prepareContext(_ direction: AEADContext.Direction) {
        if context == nil { makeContext(direction) }
    }

    @inline(never)
    private mutating func makeContext(_ direction: AEADContext.Direction) {
        let aead = suite.aead
        switch suite.version {
        case .tls13:
            // RFC 8446 section 7.3.
            let key = KeySchedule.expandLabel("key", secret: state.secret, length: aead.keyLength, hash: suite.hash)
            let iv = KeySchedule.expandLabel("iv", secret: state.secret, length: 12, hash: suite.hash)
            context = key.withUnsafeBytes { key in
                iv.withUnsafeBytes { AEADContext(aead, key: key, iv: $0, for: direction) }
            }
        case .tls12:
            context = state.secret.withUnsafeBytes { secret in
                AEADContext(
                    aead, key: UnsafeRawBufferPointer(rebasing: secret[..<aead.keyLength]),
                    iv: UnsafeRawBufferPointer(rebasing: secret[aead.keyLength...]), for: direction)
            }
        }
    }
}
