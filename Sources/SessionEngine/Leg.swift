internal import CSessionArena
internal import Glibc
internal import TLSRecords

/// One socket of a session, as far as it is the worker's alone: all of this is found out anew by the next owner.
struct Leg: ~Copyable {
    let index: LegIndex
    let descriptor: CInt
    /// `nil`: the leg is plain.
    var connection: Connection?
    /// How many bytes read(2) has given.
    var received: UInt64
    /// How many bytes write(2) has taken.
    var written: UInt64
    /// read(2) has said that there is no more.
    var hasEnded = false
    /// shutdown(2) has been called.
    var isShut: Bool
    /// The connection has been reset by us, because the other side failed.
    private(set) var isReset = false
    /// What epoll(7) is asked for; 0: it does not know of the socket.
    private var interest: UInt32 = 0

    init(_ index: LegIndex, descriptor: CInt, _ standing: consuming LegStanding) {
        self.index = index
        self.descriptor = descriptor
        connection = standing.connection.take()
        received = standing.received
        written = standing.written
        isShut = standing.isShut
    }

    deinit { close(descriptor) }

    /// Whether nothing more is written.
    var isDone: Bool { isShut || isReset }

    var isPlain: Bool {
        switch connection {
        case .none: true
        case .some: false
        }
    }

    /// The most content that one record of this leg carries, or that is passed on at once.
    var longestContent: Int { connection.longestContent }

    /// Whether there is TLS and its peer waits for a KeyUpdate.
    var owesKeyUpdate: Bool { connection.owesKeyUpdate }

    /// Bytes that this leg has to say by itself.
    var answersCount: Int { connection.outgoingCount }

    /// Lends the part of a handshake message that has come.
    func withFragments<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { connection.withFragments(body) }

    /// Writes `content` to `output` as this leg's peer expects it, and returns its length.
    mutating func put(_ content: UnsafeRawBufferPointer, at output: UnsafeMutableRawPointer) throws(SessionEnd) -> Int {
        guard connection != nil else {
            output.copyMemory(from: content.baseAddress!, byteCount: content.count)
            return content.count
        }
        do {
            return try connection!.seal(content, to: output)
        } catch {
            throw SessionEnd.protocolError(error)
        }
    }

    /// Resets the connection.
    mutating func reset() {
        stream_reset(descriptor)
        isReset = true
    }

    /// Has epoll(7) report this socket. One that nothing is wanted of is taken out, because epoll(7) would report its end
    /// again and again; and so must one be that is closed, because others may hold the socket.
    mutating func watch(for wanted: UInt32, at slot: Int, in epoll: CInt) {
        guard wanted != interest else { return }
        var event = epoll_event(events: wanted, data: epoll_data_t(u64: UInt64(slot) << 1 | UInt64(index.rawValue)))
        let change = wanted == 0 ? EPOLL_CTL_DEL : interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD
        epoll_ctl(epoll, change, descriptor, &event)
        interest = wanted
    }
}

/// Where a leg stands when a session comes to its worker.
struct LegStanding: ~Copyable {
    var connection: Connection?
    var received: UInt64
    var written: UInt64
    var isShut = false
}

extension Optional where Wrapped == Connection {
    fileprivate var longestContent: Int {
        switch self {
        case .none: 16_384
        case .some(let connection): connection.longestContent
        }
    }

    fileprivate var owesKeyUpdate: Bool {
        switch self {
        case .none: false
        case .some(let connection): connection.owesKeyUpdate
        }
    }

    fileprivate var outgoingCount: Int {
        switch self {
        case .none: 0
        case .some(let connection): connection.outgoingCount
        }
    }

    fileprivate borrowing func withFragments<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        switch self {
        case .none: body(UnsafeRawBufferPointer(start: nil, count: 0))
        case .some(let connection): connection.withFragments(body)
        }
    }
}
