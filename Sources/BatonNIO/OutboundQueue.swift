internal import BatonCore
internal import NIOCore

/// What leaves a connection, from the application's write until the kernel has it: plaintext that waits for the handshake,
/// bytes that go out as they are, and what is with the channel. Ciphertext that is not with the channel yet stays in the
/// connection, which says how much it is; it goes out behind everything else. The end of the output is an entry of the
/// same queue: it waits behind the bytes before it.
///
/// `Token` stands for whoever waits for a write. The queue does no I/O and calls nobody.
struct OutboundQueue<Token> {
    /// What waits for the end of the handshake.
    enum Held {
        case bytes(ByteBuffer, Token?)
        case end(Token?)
    }

    /// What the channel is to be given next.
    enum Piece: Equatable {
        case plain(ByteBuffer)
        /// So many bytes of the connection's ciphertext.
        case ciphertext(Int)
    }

    /// The largest piece given to the channel at once, in bytes.
    private static var largestPiece: Int { 64 << 10 }

    private let window: Int
    private var held = CircularBuffer<Held>()
    private var heldCount = 0
    private var plain = CircularBuffer<ByteBuffer>()
    private var plainCount = 0
    private var unconfirmed = UnconfirmedWrites()
    /// Who waits, by the position of the stream at which the write ends.
    private var tokens = CircularBuffer<(position: UInt64, token: Token)>()
    private var closeTokens: [Token] = []
    /// The kernel's write position before the first byte; `nil` where the kernel does not tell.
    private var basePosition: UInt64?
    /// Whether a FIN has left behind `basePosition`; the kernel counts it as a byte.
    private var hasSentFIN = false

    /// - Parameter window: how many bytes may be with the channel.
    init(window: Int) { self.window = window }

    /// Bytes that are with the channel, or wait here to get there.
    var count: Int { plainCount + unconfirmed.count }

    /// Bytes that are not known to be taken by the kernel, those included that wait for the handshake.
    var pendingCount: Int { count + heldCount }

    // MARK: Writing

    /// Holds `buffer` back until the handshake is done.
    mutating func hold(_ buffer: ByteBuffer, _ token: Token?) {
        held.append(.bytes(buffer, token))
        heldCount += buffer.readableBytes
    }

    /// Holds the end of the output back until the handshake is done.
    mutating func holdEnd(_ token: Token?) { held.append(.end(token)) }

    /// The oldest entry that was held back.
    mutating func popHeld() -> Held? {
        let first = held.popFirst()
        if case .bytes(let buffer, _) = first { heldCount -= buffer.readableBytes }
        return first
    }

    /// Queues `buffer` to go out as it is.
    mutating func append(_ buffer: ByteBuffer, _ token: Token?) {
        plain.append(buffer)
        plainCount += buffer.readableBytes
        wait(token, outgoing: 0)
    }

    /// Lets `token` wait for everything queued so far.
    ///
    /// - Parameter outgoing: the connection's bytes of ciphertext.
    mutating func wait(_ token: Token?, outgoing: Int) {
        guard let token else { return }
        tokens.append((unconfirmed.handed + UInt64(plainCount + outgoing), token))
    }

    /// Lets `token` wait for the end of the connection.
    mutating func waitForClose(_ token: Token?) {
        if let token { closeTokens.append(token) }
    }

    // MARK: The channel

    /// Takes out what the channel is to be given next; `nil` if there is nothing, or the window is full.
    ///
    /// - Parameter outgoing: the connection's bytes of ciphertext.
    mutating func next(outgoing: Int) -> Piece? {
        let limit = min(window - unconfirmed.count, Self.largestPiece)
        guard limit > 0 else { return nil }
        while !plain.isEmpty {
            let start = plain.startIndex
            let count = min(limit, plain[start].readableBytes)
            let piece = plain[start].readSlice(length: count)
            if plain[start].readableBytes == 0 { plain.removeFirst() }
            plainCount -= count
            if let piece, count > 0 { return .plain(piece) }
        }
        let count = min(limit, outgoing)
        return count > 0 ? .ciphertext(count) : nil
    }

    /// The channel has been given `piece`.
    mutating func handOver(_ piece: ByteBuffer) { unconfirmed.append(piece) }

    /// The channel has been told to send FIN.
    mutating func handOverFIN() { hasSentFIN = true }

    /// The channel has written the oldest piece as a whole.
    mutating func confirmFirst() { unconfirmed.confirmFirst() }

    /// The next of those whose bytes are all written.
    mutating func popWritten() -> Token? {
        guard let first = tokens.first, first.position <= unconfirmed.confirmed else { return nil }
        tokens.removeFirst()
        return first.token
    }

    // MARK: The end

    /// Everybody who waits for a write that will not be confirmed. What was held back is dropped.
    mutating func dropWaiting() -> [Token] {
        var dropped = tokens.map(\.token)
        for entry in held {
            switch entry {
            case .bytes(_, let token), .end(let token): if let token { dropped.append(token) }
            }
        }
        tokens = CircularBuffer()
        held = CircularBuffer()
        heldCount = 0
        return dropped
    }

    /// Those who wait for the end of the connection.
    mutating func takeCloseTokens() -> [Token] {
        defer { closeTokens = [] }
        return closeTokens
    }

    /// Drops all bytes.
    mutating func dropBytes() {
        plain = CircularBuffer()
        plainCount = 0
        unconfirmed = UnconfirmedWrites()
    }

    // MARK: Leaving the channel

    /// Notes where the kernel stands before the first byte.
    ///
    /// - Parameter buffered: bytes the channel still has from others; they come before.
    mutating func begin(at position: UInt64, buffered: Int) {
        basePosition = position &+ UInt64(max(0, buffered))
    }

    /// How many bytes of the stream the kernel has taken. The channel knows by its own count, and the kernel's must agree; it
    /// does not after a reset, which empties the kernel's queues.
    ///
    /// - Parameters:
    ///   - buffered: bytes the channel still has.
    ///   - position: the kernel's write position; `nil` where it does not tell.
    /// - Returns: `nil` if the counts do not agree. The position is `nil` unless it is known from the beginning.
    func bytesTaken(buffered: Int, position: UInt64?) -> (taken: UInt64, position: UInt64?)? {
        let buffered = UInt64(max(0, buffered))
        guard buffered <= UInt64(unconfirmed.count) else { return nil }
        let taken = unconfirmed.handed - buffered
        guard let basePosition else { return (taken, nil) }
        guard let position, position &- basePosition == taken + (hasSentFIN ? 1 : 0) else { return nil }
        return (taken, position)
    }

    /// Takes out the bytes that the kernel has not taken: of what is with the channel, and all that go out as they are.
    ///
    /// - Returns: `nil` if `taken` is impossible; nothing is changed then.
    mutating func takeUnsent(taken: UInt64) -> ByteQueue? {
        guard var unsent = unconfirmed.takeTail(taken: taken) else { return nil }
        for buffer in plain { buffer.withUnsafeReadableBytes { unsent.append($0) } }
        plain = CircularBuffer()
        plainCount = 0
        return unsent
    }
}
