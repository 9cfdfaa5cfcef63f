internal import BatonCore

/// What a connection carries besides its keys: bytes on their way and what has happened so far. It moves as a whole
/// from `Connection` to `Snapshot` and back.
struct Progress: ~Copyable, Sendable {
    /// Ciphertext received, not yet opened. While `unread` is not empty its record is still at the front.
    var inbound = ByteQueue()
    /// The plaintext of the record at the front of `inbound` that has not been read.
    var unread = UnreadPlaintext()
    /// Post-handshake messages that have begun to arrive.
    var handshake = ByteQueue()
    /// Ciphertext not yet taken by the transport.
    var outgoing = ByteQueue()
    /// The transport has nothing more to read. It does not travel: the next holder reads the end from the same socket.
    var hasTransportEnded = false
    /// The peer's close_notify has arrived.
    var isReadClosed = false
    /// Our close_notify or a fatal alert has been queued.
    var isWriteClosed = false
    /// The peer asked for a key update that we have not sent.
    var owesKeyUpdate = false
    var counters = Counters()
    /// When `counters` were last set back for the time that has passed, in the milliseconds of the caller's clock. It does
    /// not travel: the next holder's clock is another.
    var countedSince: UInt64?
    /// Why the connection has ended.
    var failure: TLSError?
}

/// Plaintext decrypted in place, at the front of the inbound bytes.
struct UnreadPlaintext: Sendable {
    /// Length of the whole record it came in.
    var recordLength = 0
    /// The first byte not yet read, from the record's header.
    var offset = 0
    /// Bytes not yet read.
    var count = 0
}
