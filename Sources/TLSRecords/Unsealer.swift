public import BatonCore

/// Opens what was sealed for one receiver, each transfer once.
///
/// It reads no clock: the caller says what time it is, and time that goes backwards is not believed. Transfers are
/// remembered in memory, so receiver and key must be new with every unsealer, and never stored.
public struct Unsealer: ~Copyable, Sendable {
    /// What a seal held.
    public struct Opened: ~Copyable, Sendable {
        /// The transfer it belongs to.
        public let transfer: TransferID
        /// What was sealed.
        public let bytes: SecretBytes
    }

    private let context: AEADContext
    private let receiver: ReceiverID
    /// When each opened transfer expires; after that the expiry itself refuses it.
    private var opened: [TransferID: UInt64] = [:]
    private var prunesAt = 1024
    private var latest: UInt64 = 0

    /// An unsealer for `receiver`, who gave out `key`.
    public init(key: borrowing SealKey, receiver: ReceiverID) {
        context = key.context(for: .open)
        self.receiver = receiver
    }

    /// Opens `sealed`.
    ///
    /// - Parameter now: milliseconds since 1970.
    /// - Throws: `SealError`; a failed opening leaves nothing behind and does not use the transfer up.
    public mutating func open(_ sealed: RawSpan, now: UInt64) throws(SealError) -> Opened {
        let now = max(now, latest)
        latest = now
        return try sealed.withUnsafeBytes { (sealed) throws(SealError) in
            let header = try SealHeader(sealed)
            guard header.receiver == receiver else { throw .otherReceiver }
            guard now < header.expires else { throw .expired }
            let count = sealed.count - Sealer.overhead
            guard count >= 0, count < Int(Int32.max) else { throw .cutOff }
            let bytes = try unseal(sealed, count: count, nonce: header.nonce)
            // Only what is authentic is remembered, so nobody can fill this or use up another's transfer.
            guard opened.updateValue(header.expires, forKey: header.transfer) == nil else { throw .alreadyOpened }
            forgetExpired(now)
            return Opened(transfer: header.transfer, bytes: bytes)
        }
    }

    private borrowing func unseal(
        _ sealed: UnsafeRawBufferPointer, count: Int, nonce: Nonce
    ) throws(SealError) -> SecretBytes {
        let header = UnsafeRawBufferPointer(rebasing: sealed[..<SealHeader.length])
        var isAuthentic = false
        let bytes = SecretBytes(count: count) { output in
            isAuthentic = context.open(
                UnsafeRawBufferPointer(rebasing: sealed[SealHeader.length...]), count: count, nonce: nonce,
                additionalData: header, to: output)
        }
        guard isAuthentic else { throw .notAuthentic }
        return bytes
    }

    private mutating func forgetExpired(_ now: UInt64) {
        guard opened.count >= prunesAt else { return }
        opened = opened.filter { $0.value > now }
        prunesAt = max(1024, opened.count * 2)
    }
}
