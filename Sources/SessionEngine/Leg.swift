internal import BatonCore
internal import CSessionArena
internal import Libc
internal import TLSRecords

/// One socket of a session, as far as it is the worker's alone: all of this is found out anew by the next owner.
struct Leg: ~Copyable {
    let index: LegIndex
    let descriptor: CInt
    /// There is no TLS.
    let isPlain: Bool
    /// The connection, in memory of its own; `nil`: the leg is plain, or rests.
    private var held: UnsafeMutablePointer<Connection>?
    /// How many bytes read(2) has given.
    var received: UInt64
    /// How many bytes write(2) has taken.
    var written: UInt64
    /// read(2) has said that there is no more.
    var hasEnded = false
    /// shutdown(2) has been called.
    var isShut: Bool
    /// When this side has been told that the other has ended, on the monotonic clock in nanoseconds; 0: it has not.
    var toldEndAt: UInt64 = 0
    /// The connection has been reset, by its peer or by us.
    private(set) var isReset = false
    /// Why it is this leg that ended the session.
    var cause: SessionOutcome?
    /// Its peer has got its alert, and has ended or said enough.
    var isSpent = false
    /// Bytes that a peer has sent after its connection had failed.
    var discarded = 0
    /// Records of application data, or reads of a plain leg, that have not been counted.
    var messages: UInt32 = 0
    private var isTaken = false
    /// What epoll(7) is asked for; 0: it does not know of the socket.
    private var interest: UInt32
    /// `nil`: the socket is TCP.
    private var unix: UnixStream?
    /// How fast it is read.
    var pace = Pace()
    /// The peer takes nothing more, and may have said something before.
    var isUnwritable = false

    init(_ index: LegIndex, descriptor: CInt, _ standing: consuming LegStanding) {
        self.index = index
        self.descriptor = descriptor
        if let connection = standing.connection.take() {
            isPlain = false
            held = .allocate(capacity: 1)
            held!.initialize(to: connection)
        } else {
            isPlain = true
        }
        received = standing.received
        written = standing.written
        isShut = standing.isShut
        hasEnded = standing.hasEnded
        isReset = standing.isReset
        waitsForPeer = standing.hasFailed
        interest = standing.interest
    }

    /// The second leg of a session that has one leg: nothing is done with it.
    init(absent index: LegIndex) {
        self.init(index, descriptor: -1, LegStanding(connection: nil, received: 0, written: 0, isReset: true))
        isTaken = true
    }

    deinit {
        if let held {
            held.deinitialize(count: 1)
            held.deallocate()
        }
        if !isTaken { close(descriptor) }
    }

    /// The connection of a leg that is not plain and does not rest.
    var connection: Connection {
        _read { yield held!.pointee }
        _modify { yield &held!.pointee }
    }

    /// Whether nothing more is done.
    var isDone: Bool { isReset || isShut && (isSpent || !waitsForPeer) }

    /// Its peer broke the protocol: a socket closed with unread bytes in it resets the connection, and the peer may lose
    /// the alert.
    var waitsForPeer: Bool

    var side: SessionSide { index == .client ? .client : .upstream }

    mutating func takeMessages() -> UInt32 {
        defer { messages = 0 }
        return messages
    }

    /// Gives the connection back, of which the slot has all that counts, or only what it does not need while it is idle.
    mutating func rest(keepingConnection: Bool) {
        guard let held else { return }
        guard !keepingConnection else { return held.pointee.releaseIdleMemory() }
        held.deinitialize(count: 1)
        held.deallocate()
        self.held = nil
    }

    /// Makes the connection anew that has been given back.
    ///
    /// - Returns: whether the slot has it.
    mutating func wake(_ slot: UnsafeMutablePointer<arena_slot>, _ arena: borrowing Arena) -> Bool {
        guard !isPlain, held == nil else { return true }
        let state = arena_state_at(slot, arena_current(slot))
        guard let facts = try? SessionFacts(slot, state, arena),
            let connection = SessionKeys.load(arena_leg_at(state, index.rawValue), facts: facts.of(index), arena)
        else { return false }
        held = .allocate(capacity: 1)
        held!.initialize(to: connection)
        return true
    }

    /// The leg with all that is on its way. The socket is the caller's from here on.
    mutating func depart(_ record: borrowing SessionRecord, _ arena: borrowing Arena) -> SessionLeg {
        let place = record.leg(index)
        let input = bytes(
            place.pointee.input_extent, place.pointee.consumed - place.pointee.input_base,
            received - place.pointee.consumed, arena)
        let output = bytes(
            place.pointee.output_extent, written - place.pointee.output_base, place.pointee.produced - written, arena)
        isTaken = true
        if isUnix { UnixStream.release(descriptor) }
        var leg = SessionLeg(descriptor: descriptor)
        leg.isInputClosed = place.pointee.flags & ARENA_LEG_READ_CLOSED != 0
        leg.isOutputClosed = place.pointee.flags & ARENA_LEG_ENDING != 0
        leg.isShut = isShut
        if let held {
            var snapshot = held.move().suspend()
            held.deallocate()
            self.held = nil
            snapshot.appendInbound(input)
            snapshot.prependOutgoing(ByteQueue(copying: output))
            leg.snapshot = consume snapshot
        } else {
            leg.received = Array(input)
            leg.unsent = Array(output)
        }
        return leg
    }

    private func bytes(
        _ extent: UInt32, _ offset: UInt64, _ count: UInt64, _ arena: borrowing Arena
    ) -> UnsafeRawBufferPointer {
        guard count > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: arena.extent(extent) + Int(offset), count: Int(count))
    }

    /// The most content that one record of this leg carries, or that is passed on at once.
    var longestContent: Int { isPlain ? 16_384 : connection.longestContent }

    /// Whether there is TLS and its peer waits for a KeyUpdate.
    var owesKeyUpdate: Bool { !isPlain && connection.owesKeyUpdate }

    /// Bytes that this leg has to say by itself.
    var answersCount: Int { isPlain ? 0 : connection.outgoingCount }

    /// Lends the part of a handshake message that has come.
    func withFragments<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        isPlain ? body(UnsafeRawBufferPointer(start: nil, count: 0)) : connection.withFragments(body)
    }

    /// Writes `content` to `output` as this leg's peer expects it, and returns its length.
    mutating func put(_ content: UnsafeRawBufferPointer, at output: UnsafeMutableRawPointer) throws(TLSError) -> Int {
        guard !isPlain else {
            output.copyMemory(from: content.baseAddress!, byteCount: content.count)
            return content.count
        }
        return try connection.seal(content, to: output)
    }

    /// Writes content in records as long as the leg's peer takes them, and returns their length.
    mutating func putAll(
        _ content: UnsafeRawBufferPointer, at output: UnsafeMutableRawPointer
    ) throws(TLSError) -> Int {
        let most = longestContent
        var produced = 0
        var position = 0
        while position < content.count {
            let count = min(most, content.count - position)
            produced += try put(
                UnsafeRawBufferPointer(rebasing: content[position..<position + count]), at: output + produced)
            position += count
        }
        return produced
    }

    /// Whether the socket is a Unix stream socket: it has no RST, and what is written is at its peer at once.
    var isUnix: Bool { unix != nil }

    /// The socket turns out to be a Unix stream socket.
    mutating func becomeUnix(at slot: Int) {
        unix = UnixStream(descriptor, slot: slot, index, received: received)
    }

    /// Counts what read(2) has given.
    @inline(__always)
    mutating func noteRead(_ count: Int) {
        received += UInt64(count)
        unix?.noteRead(descriptor, received: received)
    }

    /// Gives the kernel output that is published, and counts what it takes.
    ///
    /// - Returns: 0, or an errno value.
    mutating func send(
        _ output: UnsafeRawBufferPointer, _ slot: UnsafeMutablePointer<arena_slot>, _ arena: borrowing Arena
    ) -> CInt {
        let count =
            unix?.send(output, at: written, to: descriptor, slot, arena.header)
            ?? Libc.send(descriptor, output.baseAddress!, output.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        guard count >= 0 else { return unix == nil ? errno : CInt(-count) }
        written += UInt64(count)
        return 0
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
        let change = wanted == 0 ? EPOLL_CTL_DEL : interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD
        Leg.watch(descriptor, index, at: slot, for: wanted, change, in: epoll)
        interest = wanted
    }

    /// What epoll(7) is asked for of a socket whose session has not been taken over yet.
    static let firstInterest = EPOLLIN.rawValue

    static func watch(
        _ descriptor: CInt, _ index: LegIndex, at slot: Int, for wanted: UInt32, _ change: Int32, in epoll: CInt
    ) {
        var event = epoll_event(events: wanted, data: epoll_data_t(u64: UInt64(slot) << 1 | UInt64(index.rawValue)))
        epoll_ctl(epoll, change, descriptor, &event)
    }
}

/// Where a leg stands when a session comes to its worker.
struct LegStanding: ~Copyable {
    var connection: Connection?
    var received: UInt64
    var written: UInt64
    var isShut = false
    /// The peer's FIN has been read; the end waits for the bytes before it.
    var hasEnded = false
    var isReset = false
    /// The peer has broken the protocol.
    var hasFailed = false
    /// What epoll(7) is asked for already.
    var interest: UInt32 = 0
}
