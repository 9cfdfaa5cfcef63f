internal import NIOCore
internal import TLSRecords

/// What has come in and the application has not asked for, and what it has been told of it. The peer's end is the last entry
/// of the queue. Ciphertext and the plaintext made of it are in the connection.
struct InboundQueue {
    /// The most plaintext gathered for one `channelRead`, and handed on between two `channelReadComplete`, in bytes.
    static let largestRead = 64 << 10

    /// Bytes of a plain connection: a former owner's, and what the channel reads by itself once the peer has ended its side.
    private var received = CircularBuffer<ByteBuffer>()
    /// What the application has read and given back: it comes before everything else.
    private var returned: ByteBuffer?
    /// Whether that is to be read again by itself, because the application that gave it back was a former owner's. Otherwise it
    /// comes with what is received next, or before the end.
    private var isReturnedDue = false
    private var hasOfferedLast = false
    private var postponed: Event?
    /// Plaintext bytes handed on since the application was last told that a read is complete; `nil`: none.
    private var delivered: Int?
    private var isPumping = false

    /// Whether the application has asked to read, and has not had anything since.
    private(set) var isReadWanted = false
    /// Whether the peer has sent its FIN. It comes behind what waits to be read.
    private(set) var isEnded = false
    /// Whether the application has been told of the peer's end.
    private(set) var hasToldEnd = false
    /// Whether the channel is gone, and with it the chance to be asked for what waits.
    private(set) var isTransportGone = false
    /// Why the channel has failed, if it has.
    private(set) var failure: (any Error)?

    init() {}

    /// A queue with what a former owner has read.
    ///
    /// - Parameter returned: what its application has given back, of a TLS connection.
    init(received bytes: [UInt8] = [], returned: [UInt8] = []) {
        if !bytes.isEmpty { received.append(ByteBuffer(bytes: bytes)) }
        guard !returned.isEmpty else { return }
        self.returned = ByteBuffer(bytes: returned)
        isReturnedDue = true
    }

    // MARK: Bytes and events

    mutating func append(_ buffer: ByteBuffer) { received.append(buffer) }

    mutating func popFirst() -> ByteBuffer? { received.popFirst() }

    /// The bytes that wait.
    var bytes: [UInt8] { returnedBytes + received.flatMap { Array($0.readableBytesView) } }

    mutating func dropBytes() {
        received = CircularBuffer()
        returned = nil
    }

    /// Puts `buffer` in front of everything that waits.
    mutating func giveBack(_ buffer: ByteBuffer) {
        guard buffer.readableBytes > 0 else { return }
        var joined = buffer
        if let returned { joined.writeImmutableBuffer(returned) }
        returned = joined
    }

    /// What has been given back, and is not read again yet.
    var returnedBytes: [UInt8] { returned.map { Array($0.readableBytesView) } ?? [] }

    var returnedCount: Int { returned?.readableBytes ?? 0 }

    /// Takes out what has been given back, to go in front of what was received.
    mutating func takeReturned() -> ByteBuffer? {
        defer { (returned, isReturnedDue) = (nil, false) }
        return returned
    }

    /// Takes out what a former owner's application has given back.
    mutating func takeDue() -> ByteBuffer? { isReturnedDue ? takeReturned() : nil }

    /// Takes out what has been given back and has nothing behind it but the end; once.
    mutating func takeLast() -> ByteBuffer? {
        guard !hasOfferedLast else { return nil }
        hasOfferedLast = true
        return takeReturned()
    }

    /// Keeps an event that comes behind data, until the data has been handed on.
    mutating func postpone(_ event: Event) { postponed = event }

    mutating func takePostponed() -> Event? {
        defer { postponed = nil }
        return postponed
    }

    // MARK: Handing on

    /// Whether something was handed on since the application was last told that a read is complete.
    var hasDelivered: Bool { delivered != nil }

    mutating func countDelivery(_ count: Int) { delivered = (delivered ?? 0) + count }

    /// Whether so much was handed on that the application is to be told that a read is complete.
    var isReadFull: Bool { (delivered ?? 0) >= Self.largestRead && !isTransportGone }

    mutating func completeRead() {
        delivered = nil
        isReadWanted = false
    }

    mutating func wantRead() { isReadWanted = true }

    mutating func forgetRead() { isReadWanted = false }

    /// - Returns: `false` if what there is is being handed on already.
    mutating func beginPumping() -> Bool {
        guard !isPumping else { return false }
        isPumping = true
        return true
    }

    mutating func endPumping() { isPumping = false }

    /// Whether the application asks from within a call that hands something on.
    var isBeingPumped: Bool { isPumping }

    // MARK: The end

    mutating func end() { isEnded = true }

    mutating func tellEnd() { hasToldEnd = true }

    mutating func loseTransport() { isTransportGone = true }

    /// The first failure is the one that counts.
    mutating func fail(_ error: any Error) { failure = failure ?? error }
}
