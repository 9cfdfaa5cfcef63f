package import BatonCore

/// The snapshot in two parts, for an owner that keeps the bytes itself: what stays as it is while the connection lives, and
/// what changes from record to record.
extension Snapshot {
    /// The snapshot with traffic secrets of zeros and nothing on its way.
    package borrowing func lastingFacts() -> SecretBytes {
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

    /// Whether an owner of the bytes can take the connection: it has not failed, and no record is half-read.
    package var isBetweenRecords: Bool { progress.failure == nil && progress.unread.count == 0 }

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
