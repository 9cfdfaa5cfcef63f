package import BatonCore

/// The snapshot in two parts, for an owner that keeps the bytes itself: what stays as it is while the connection lives, and
/// what changes from record to record.
extension Snapshot {
    /// The most bytes of `lastingFacts`: those of two connections and a note have one extent of an arena.
    package static let longestLastingFacts = 16_000

    /// The snapshot with traffic secrets of zeros and nothing on its way; without the peer's chains where those are long.
    package borrowing func lastingFacts() -> SecretBytes {
        let facts = lastingFacts(info)
        guard facts.count > Snapshot.longestLastingFacts, var peer = info.peerCertificate else { return facts }
        peer.chain = []
        peer.verifiedChain = []
        var info = info
        info.peerCertificate = peer
        return lastingFacts(info)
    }

    private borrowing func lastingFacts(_ info: ConnectionInfo) -> SecretBytes {
        let lasting = Snapshot(
            info: info, limits: limits, read: DirectionState(secret: .zeros(read.secret.count)),
            write: DirectionState(secret: .zeros(write.secret.count)), exporter: exporter.copied(),
            resumption: resumption.copied(), progress: Progress())
        return lasting.encoded()
    }

    /// Puts a connection's position into what `lastingFacts` gave.
    ///
    /// - Returns: whether all of it is possible.
    package mutating func resume(
        reading: consuming DirectionState, writing: consuming DirectionState, isReadClosed: Bool, isWriteClosed: Bool,
        owesKeyUpdate: Bool, allowance: Connection.Allowance, fragments: UnsafeRawBufferPointer
    ) -> Bool {
        read = reading
        write = writing
        progress.isReadClosed = isReadClosed
        progress.isWriteClosed = isWriteClosed
        progress.owesKeyUpdate = owesKeyUpdate
        progress.counters = Counters(
            emptyRecords: allowance.inARow[0], warnings: allowance.inARow[1], messages: allowance.inARow[2],
            renegotiations: allowance.inARow[3], paidKeyUpdates: allowance.paidKeyUpdates)
        progress.handshake.append(fragments)
        return firstImpossibility == nil
    }

    /// Whether the connection has ended by anything but a close_notify.
    package var hasFailed: Bool { progress.failure != nil }

    /// Whether the peer's close_notify has arrived.
    package var isReadClosed: Bool { progress.isReadClosed }

    /// Whether our close_notify or a fatal alert has been queued.
    package var isWriteClosed: Bool { progress.isWriteClosed }

    /// Plaintext that waits to be read, in bytes.
    package var unreadCount: Int { progress.unread.count }

    /// Received ciphertext that has not been opened, in bytes.
    package var inboundCount: Int { progress.inbound.count - progress.unread.recordLength }

    /// A handshake message of which a part has come, in bytes.
    package var fragmentCount: Int { progress.handshake.count }

    /// Lends the plaintext that waits, which then counts as read.
    package mutating func takeUnread<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        let unread = progress.unread
        let result = progress.inbound.withBytes {
            body(UnsafeRawBufferPointer(rebasing: $0[unread.offset..<unread.offset + unread.count]))
        }
        progress.inbound.consume(unread.recordLength)
        progress.unread = UnreadPlaintext()
        return result
    }

    /// Lends the received ciphertext that has not been opened.
    package borrowing func withInbound<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        progress.inbound.withBytes(body)
    }

    /// The snapshot without the ciphertext on its way, which an owner has taken.
    package mutating func forgetBytes() {
        progress.inbound.removeAll()
        progress.outgoing.removeAll()
    }
}

extension SecretBytes {
    fileprivate static func zeros(_ count: Int) -> SecretBytes { SecretBytes(count: count) { _ in } }
}

extension Optional where Wrapped == SecretBytes {
    fileprivate borrowing func copied() -> SecretBytes? {
        switch self {
        case .none: nil
        case .some(let secret): secret.copy()
        }
    }
}
