internal import CSessionArena
internal import Libc
internal import TLSRecords

/// A session of an engine: its place in the arena and its sockets.
struct Session: ~Copyable {
    let slot: Int
    let number: UInt64
    let kind: SessionKind
    var client: Leg
    /// `Leg.init(absent:)` where the kind has none.
    var upstream: Leg
    /// Extents were lacking: until some come back nothing more is read.
    var isStarved = false
    /// One side or both only have to take their last bytes, or to end.
    var isClosing = false
    /// It is due to move: nothing is done for it until it leaves, or is to go on here.
    private(set) var isPaused = false
    /// Its memory has been given back, because nothing comes.
    var isResting = false
    /// It has given as many answers as one may at once, and may go on when the others have had their turn.
    var hasMore = false
    /// It is among the engine's unfinished.
    var isQueued = false
    /// It is among the engine's that have read as much as they may, and wait.
    var isHeld = false
    /// Until the session is due to move; 0: it never is, or has been told.
    private var messagesLeft: UInt32
    /// What broke the session first.
    private(set) var outcome: SessionOutcome?
    /// Bytes that a closing session's peers have not acknowledged, and since when it is as many.
    private var remaining = Int.max
    private var remainsSince: UInt64 = 0
    private var unacknowledged: CInt = 0

    init(
        slot: Int, number: UInt64, kind: SessionKind, client: consuming Leg, upstream: consuming Leg, moveEvery: UInt32
    ) {
        self.slot = slot
        self.number = number
        self.kind = kind
        self.client = client
        self.upstream = upstream
        messagesLeft = moveEvery
    }

    /// Whether both sides have ended and been told so.
    var isOver: Bool { client.isDone && upstream.isDone }

    /// Whether a leg's connection is reset.
    private var hasReset: Bool { client.isReset || kind.hasUpstream && upstream.isReset }

    /// Has epoll(7) report what the session can go on with.
    mutating func watch(_ turn: borrowing Turn, in epoll: CInt) {
        guard kind.hasUpstream else { return watchAlone(turn, in: epoll) }
        client.watch(for: turn.interest(client, other: upstream, isStarved: isStarved), at: slot, in: epoll)
        upstream.watch(for: turn.interest(upstream, other: client, isStarved: isStarved), at: slot, in: epoll)
    }

    /// Has epoll(7) forget the sockets, which others may hold longer.
    mutating func unwatch(in epoll: CInt) {
        client.watch(for: 0, at: slot, in: epoll)
        upstream.watch(for: 0, at: slot, in: epoll)
    }

    /// Resets all sockets.
    mutating func reset() {
        client.reset()
        if kind.hasUpstream { upstream.reset() }
    }

    /// The session's sockets, of which there are two to whoever keeps them: the one of a session of one leg is both.
    var sockets: SessionSockets.Pair {
        (client.descriptor, kind.hasUpstream ? upstream.descriptor : client.descriptor)
    }

    /// Notes why the session ends, if nothing else has been noted.
    mutating func blame(_ cause: SessionOutcome) {
        if outcome == nil { outcome = cause }
    }

    /// Does what the sockets are ready for, as far as it goes.
    ///
    /// - Returns: whether the session is over.
    mutating func work(
        _ turn: borrowing Turn, readable: LegIndex?, arena: borrowing Arena, pool: inout ExtentPool,
        _ respond: PageResponder
    ) -> Bool {
        guard wake(turn.record.slot, arena) else {
            reset()
            blame(.protocolError(.client, nil))
            return true
        }
        guard kind.hasUpstream else {
            return workAlone(turn, isReadable: readable != nil, arena: arena, pool: &pool, respond)
        }
        for leg in LegIndex.both where turn.isFoundBroken(leg == .client ? client.isReset : upstream.isReset, leg) {
            if leg == .client { turn.breakOff(&client) } else { turn.breakOff(&upstream) }
        }
        switch readable {
        case .client:
            let isAllowed = turn.mayRead(client, other: upstream)
            turn.read(&client, isAllowed: isAllowed, arena: arena, pool: &pool)
        case .upstream:
            let isAllowed = turn.mayRead(upstream, other: client)
            turn.read(&upstream, isAllowed: isAllowed, arena: arena, pool: &pool)
        case nil: break
        }
        // What one side's writing makes room for, the other side's input may wait for.
        var before: UInt64
        repeat {
            before = passed
            relay(turn, arena: arena, pool: &pool)
        } while passed != before
        turn.giveBackEmpty(client, upstream, arena: arena, pool: &pool)
        if let cause = client.cause ?? upstream.cause { blame(cause) }
        return isOver
    }

    private mutating func relay(_ turn: borrowing Turn, arena: borrowing Arena, pool: inout ExtentPool) {
        turn.relay(&client, &upstream, arena: arena, pool: &pool)
        turn.write(&upstream, arena: arena, pool: &pool)
        turn.relay(&upstream, &client, arena: arena, pool: &pool)
        turn.write(&client, arena: arena, pool: &pool)
        // A side that broke while the other was written to resets it at once, if nothing waits.
        turn.relay(&client, &upstream, arena: arena, pool: &pool)
        turn.write(&upstream, arena: arena, pool: &pool)
    }

    /// Bytes that read(2) has given and write(2) has taken.
    var passed: UInt64 { client.received &+ client.written &+ upstream.received &+ upstream.written }

    var counts: SessionCounts {
        SessionCounts((client.received, client.written), (upstream.received, upstream.written))
    }

    /// What the kernel had counted when the session came into its slot.
    func countsBefore(_ slot: UnsafeMutablePointer<arena_slot>) -> SessionCounts {
        let (read, write) = (slot.pointee.read_base, slot.pointee.write_base)
        return SessionCounts(
            client.isUnix ? (0, 0) : (read.0, write.0),
            // A socket that has connected counts its SYN.
            upstream.isUnix || !kind.hasUpstream ? (0, 0) : (read.1, write.1 &- min(1, write.1)))
    }

    /// The side that ended first.
    var firstEnd: SessionSide? {
        switch (client.toldEndAt, upstream.toldEndAt) {
        case (0, 0): nil
        case (0, _): .client
        case (_, 0): kind.hasUpstream ? .upstream : nil
        case (let client, let upstream): upstream <= client ? .client : .upstream
        }
    }

    // MARK: Time

    /// Bytes a second that either side is read; 0: as many as come.
    mutating func setBandwidth(_ rate: UInt64, at now: UInt64) {
        client.pace.set(rate, at: now)
        upstream.pace.set(rate, at: now)
    }

    /// Until when a side is not read, for it has been read as much as it may; 0: none is in that case.
    var heldUntil: UInt64 {
        let (first, second) = (client.pace.heldUntil, upstream.pace.heldUntil)
        return first == 0 || second == 0 ? first | second : min(first, second)
    }

    /// Lets those be read again whose time has come.
    mutating func release(at now: UInt64) {
        client.pace.release(at: now)
        upstream.pace.release(at: now)
    }

    /// Counts what the client has sent. Returns whether the session is due to move, once.
    mutating func countMessages() -> Bool {
        let count = client.takeMessages()
        guard messagesLeft > 0, count > 0 else { return false }
        messagesLeft -= min(count, messagesLeft)
        return messagesLeft == 0
    }

    /// Counts anew, up to `count`.
    mutating func countMessages(upTo count: UInt32) { messagesLeft = count }

    /// Has epoll(7) report nothing until `resume`.
    mutating func pause(in epoll: CInt) {
        isPaused = true
        unwatch(in: epoll)
    }

    mutating func resume() { isPaused = false }

    /// Gives back the memory that an idle session does not need: what its slot has, it makes anew at its next turn.
    mutating func rest() {
        // Of a side that has failed or been reset its connection knows more than the slot.
        let isWhole = !isClosing && outcome == nil && !hasReset
        client.rest(keepingConnection: !isWhole)
        upstream.rest(keepingConnection: !isWhole)
        isResting = true
    }

    /// Makes anew what has been given back.
    ///
    /// - Returns: whether the slot says what it has said.
    mutating func wake(_ slot: UnsafeMutablePointer<arena_slot>, _ arena: borrowing Arena) -> Bool {
        guard isResting else { return true }
        isResting = false
        return client.wake(slot, arena) && upstream.wake(slot, arena)
    }

    /// Whether the kernel has delivered bytes since this was asked last, which no write(2) showed.
    mutating func peersHaveTakenMore() -> Bool {
        let count = stream_unacknowledged(client.descriptor) + stream_unacknowledged(upstream.descriptor)
        defer { unacknowledged = count }
        return count < unacknowledged || count > 0 && unacknowledged == 0
    }

    /// Whether a closing session has got no further for `limit` milliseconds.
    mutating func hasStalled(_ record: borrowing SessionRecord, now: UInt64, limit: UInt64) -> Bool {
        let left = record.waiting(client) + record.waiting(upstream)
        if left < remaining || remainsSince == 0 {
            remaining = left
            remainsSince = now
        }
        return now - remainsSince >= limit
    }

    // MARK: Leaving

    /// Whether the session can go on elsewhere.
    func mayLeave(_ record: borrowing SessionRecord) -> Bool {
        let broken = ARENA_LEG_FAILED | ARENA_LEG_BROKEN | ARENA_LEG_RESETTING
        let flags = record.leg(.client).pointee.flags | record.leg(.upstream).pointee.flags
        return flags & broken == 0 && !hasReset
    }

    /// Takes the session out of its slot, which the caller frees before anybody gets it.
    mutating func depart(
        _ record: borrowing SessionRecord, note: [UInt8], idleTime: UInt64, arena: borrowing Arena
    ) -> SessionAtRest {
        // What goes along unread is counted by the next owner, too.
        let counts = SessionCounts(
            (record.leg(.client).pointee.consumed, client.written),
            kind.hasUpstream ? (record.leg(.upstream).pointee.consumed, upstream.written) : (0, 0))
        let before = countsBefore(record.slot)
        var atRest =
            switch kind {
            case .relay:
                SessionAtRest(
                    number: number, client: client.depart(record, arena), upstream: upstream.depart(record, arena),
                    note: note)
            case .echo: SessionAtRest(number: number, echoTo: client.depart(record, arena), note: note)
            case .page:
                SessionAtRest(
                    number: number, pageTo: client.depart(record, arena), scanner: record.scanner, note: note)
            }
        atRest.idleLimit = record.slot.pointee.idle_limit
        atRest.moveEvery = record.slot.pointee.move_every
        atRest.idleTime = idleTime
        atRest.handovers = record.slot.pointee.handovers
        atRest.counts = counts
        atRest.before = before
        return atRest
    }
}
