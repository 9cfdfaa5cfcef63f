internal import CSessionArena
internal import Libc
internal import TLSRecords

extension Session {
    /// Takes over what a slot says of a session, with the kernel's word on how far its sockets have come.
    ///
    /// The slot is another process's work, which may have died of a wild write: each number is checked before it is used.
    ///
    /// - Parameters:
    ///   - client: the socket of the client's leg.
    ///   - upstream: that of the other; where there is one leg it stays the caller's. epoll(7) has been asked for both, which
    ///     are the session's from here on, and the caller's if there is an error.
    ///   - used: the extents of the sessions adopted before. This one's are added.
    init(
        adopting index: Int, client: CInt, upstream: CInt, in arena: borrowing Arena, used: inout Set<UInt32>
    ) throws(AdoptionError) {
        let slot = arena.slot(index)
        let current = arena_current(slot)
        guard current <= 1, let kind = SessionKind(rawValue: slot.pointee.kind) else { throw .impossible }
        let state = arena_state_at(slot, current)
        let flags = (arena_leg_at(state, 0).pointee.flags, arena_leg_at(state, 1).pointee.flags)
        let facts = try SessionFacts(slot, state, arena)
        switch kind {
        case .relay:
            guard Session.arePossible(flags.0, flags.1), Session.arePossible(flags.1, flags.0) else {
                throw .impossible
            }
        case .echo, .page:
            guard Session.arePossibleAlone(flags.0), facts.of(.upstream).isEmpty,
                Session.isAbsent(.upstream, slot, state)
            else { throw .impossible }
            guard kind == .echo || RequestScanner(in: state) != nil else { throw .impossible }
        }
        var extents: [UInt32] = []
        if state.pointee.lasting_extent != ARENA_NO_EXTENT { extents.append(state.pointee.lasting_extent) }
        let clientStanding = try LegStanding(adopting: .client, client, slot, state, facts, arena, &extents)
        let upstreamLeg =
            kind.hasUpstream
            ? Leg(
                .upstream, descriptor: upstream,
                try LegStanding(adopting: .upstream, upstream, slot, state, facts, arena, &extents))
            : Leg(absent: .upstream)
        guard Set(extents).count == extents.count, used.isDisjoint(with: extents) else { throw .impossible }
        used.formUnion(extents)
        // A secret that its owner replaced and did not live to remove is left nowhere (RFC 8446 section 7.2).
        Step.pass()
        arena_state_at(slot, 1 - current).pointee = state.pointee
        Step.pass()
        slot.pointee.activity = min(slot.pointee.activity, Engine.now)
        self.init(
            slot: index, number: slot.pointee.session, kind: kind,
            client: Leg(.client, descriptor: client, clientStanding), upstream: upstreamLeg,
            moveEvery: slot.pointee.move_every)
        findUnixLegs(slot)
        for leg in LegIndex.both {
            let (flags, side) = leg == .client ? (flags.0, SessionSide.client) : (flags.1, .upstream)
            // A page is so most of the time because it has given its last answer.
            if flags & ARENA_LEG_FAILED != 0 { blame(kind == .page ? .inOrder : .protocolError(side, nil)) }
            if flags & ARENA_LEG_BROKEN != 0 { blame(.reset(side)) }
        }
        // An owner before has told these; what this one tells comes later.
        if flags.0 & ARENA_LEG_ENDING != 0 { self.client.toldEndAt = 1 }
        if flags.1 & ARENA_LEG_ENDING != 0 { self.upstream.toldEndAt = 1 }
        if (flags.0 | flags.1) & ARENA_LEG_RESETTING != 0 { blame(.protocolError(.client, nil)) }
    }

    /// Whether a leg's flags are such as are published together, with those of the other.
    private static func arePossible(_ flags: UInt32, _ other: UInt32) -> Bool {
        let isTLS = flags & ARENA_LEG_TLS != 0
        let hasFailed = flags & ARENA_LEG_FAILED != 0
        let isEnding = flags & ARENA_LEG_ENDING != 0
        guard flags & ~ARENA_LEG_FLAGS == 0, flags & ARENA_LEG_OWES_UPDATE == 0 || isTLS,
            isEnding == (hasFailed || other & ARENA_LEG_READ_CLOSED != 0 && other & ARENA_LEG_FAILED == 0),
            (flags & ARENA_LEG_WRITE_CLOSED != 0) == (isTLS && isEnding)
        else { return false }
        let broken = ARENA_LEG_BROKEN | ARENA_LEG_RESETTING
        guard flags & broken != broken, flags & ARENA_LEG_RESETTING == 0 || !hasFailed && other & Session.breaks != 0
        else {
            return false
        }
        return !hasFailed
            || isTLS && flags & (ARENA_LEG_READ_CLOSED | ARENA_LEG_BROKEN) == ARENA_LEG_READ_CLOSED
                && other & ARENA_LEG_FAILED == 0 && other & broken != 0
    }
}

extension Session {
    private static let breaks = ARENA_LEG_FAILED | ARENA_LEG_BROKEN | ARENA_LEG_RESETTING
}

/// Why a session cannot be taken over.
package enum AdoptionError: Error, Sendable, Equatable {
    /// The slot holds what no worker writes.
    case impossible
    /// Two owners in a row have ended by their own fault at work on it.
    case poisoned
    /// Nobody has the sockets of this session.
    case noSockets
    /// The kernel tells no position of a socket: it is gone, or is neither TCP nor a Unix stream.
    case noPosition(CInt)
}

extension LegStanding {
    fileprivate init(
        adopting index: LegIndex, _ descriptor: CInt, _ slot: UnsafeMutablePointer<arena_slot>,
        _ state: UnsafeMutablePointer<arena_state>, _ facts: SessionFacts, _ arena: borrowing Arena,
        _ extents: inout [UInt32]
    ) throws(AdoptionError) {
        let place = arena_leg_at(state, index.rawValue)
        let found =
            UnixStream.isUnix(slot, index.rawValue)
            ? try StreamStanding(unix: descriptor, place, taken: arena_taken(slot, index.rawValue))
            : try StreamStanding(descriptor, place, StreamBase(slot, index))
        guard found.fits(place),
            (place.pointee.fragment_count == 0) == (place.pointee.fragment_extent == ARENA_NO_EXTENT),
            place.pointee.fragment_count <= ARENA_EXTENT_SIZE
        else { throw .impossible }
        for extent in [place.pointee.input_extent, place.pointee.output_extent, place.pointee.fragment_extent]
        where extent != ARENA_NO_EXTENT {
            guard extent < UInt32(arena.extentCount) else { throw .impossible }
            extents.append(extent)
        }
        var connection: Connection?
        if place.pointee.flags & ARENA_LEG_TLS != 0 {
            connection = SessionKeys.load(place, facts: facts.of(index), arena)
            guard connection != nil else { throw .impossible }
        }
        self.init(
            connection: connection, received: found.received, written: found.written, isShut: found.isShut,
            isReset: found.isReset, hasFailed: place.pointee.flags & ARENA_LEG_FAILED != 0, interest: Leg.firstInterest)
    }
}

/// How far a socket has come, as the kernel says, counted from when its session came into the slot.
private struct StreamStanding {
    let received: UInt64
    let written: UInt64
    let isShut: Bool
    let isReset: Bool

    init(
        _ descriptor: CInt, _ place: UnsafeMutablePointer<arena_leg>, _ base: StreamBase
    ) throws(AdoptionError) {
        let flags = place.pointee.flags
        let used = place.pointee.consumed
        if flags & ARENA_LEG_BROKEN != 0 {
            // Nothing is written to it, and what was read of it is in the slot.
            received = StreamStanding.receivedBeforeBreak(place)
            (written, isShut, isReset) = (place.pointee.produced, false, true)
            return
        }
        var position = stream_position()
        let failed = stream_position_of(descriptor, &position)
        guard failed == 0 else { throw .noPosition(-failed) }
        let isDeaf = flags & (ARENA_LEG_FAILED | ARENA_LEG_RESETTING) != 0
        let received = position.read &- base.read
        let written = position.written &- base.written
        guard position.is_closed != 0 else {
            self.received = isDeaf ? used : received
            self.written = written
            (isShut, isReset) = (position.is_shut != 0, false)
            return
        }
        self.written = place.pointee.produced
        // Closed in order by both sides, it has had a FIN each way, which the counters count.
        if !isDeaf, flags & ARENA_LEG_ENDING != 0, written &- 1 == place.pointee.produced, position.has_error == 0 {
            self.received = received &- 1
            (isShut, isReset) = (true, false)
        } else {
            // What of its input was read and not used, nobody can say.
            self.received = used
            (isShut, isReset) = (false, true)
        }
    }

    /// A Unix socket. That it is shut or closed, shutdown(2), read(2) and write(2) find again.
    init(unix descriptor: CInt, _ place: UnsafeMutablePointer<arena_leg>, taken: UInt64) throws(AdoptionError) {
        let flags = place.pointee.flags
        let isBroken = flags & ARENA_LEG_BROKEN != 0
        if isBroken {
            received = StreamStanding.receivedBeforeBreak(place)
        } else if flags & (ARENA_LEG_FAILED | ARENA_LEG_RESETTING) != 0 {
            received = place.pointee.consumed
        } else {
            received = try UnixStream.received(descriptor, atLeast: place.pointee.consumed)
        }
        written = isBroken ? place.pointee.produced : taken
        (isShut, isReset) = (false, isBroken)
    }

    /// What was read of a leg that is broken: its socket tells nothing any more.
    private static func receivedBeforeBreak(_ place: UnsafeMutablePointer<arena_leg>) -> UInt64 {
        let hasInput = place.pointee.input_extent != ARENA_NO_EXTENT
        return hasInput ? place.pointee.input_base &+ UInt64(place.pointee.input_count) : place.pointee.consumed
    }

    /// Whether a leg's place can be that of a stream that has come so far.
    func fits(_ place: UnsafeMutablePointer<arena_leg>) -> Bool {
        StreamStanding.fit(place.pointee.consumed, received, place.pointee.input_base, place.pointee.input_extent)
            && StreamStanding.fit(
                written, place.pointee.produced, place.pointee.output_base, place.pointee.output_extent)
    }

    /// More than any stream carries, and far from where a sum would overflow.
    private static let longest: UInt64 = 1 << 62

    /// Whether the bytes from `first` to `last` lie within an extent that begins at `base`. Without an extent there are none,
    /// and `base` is where the last one began.
    private static func fit(_ first: UInt64, _ last: UInt64, _ base: UInt64, _ extent: UInt32) -> Bool {
        guard base <= first, first <= last, last <= longest else { return false }
        return extent == ARENA_NO_EXTENT ? first == last : last - base <= UInt64(ARENA_EXTENT_SIZE)
    }
}

/// The kernel's counters of a leg when its session came into the slot.
private struct StreamBase {
    let read: UInt64
    let written: UInt64

    init(_ slot: UnsafeMutablePointer<arena_slot>, _ index: LegIndex) {
        switch index {
        case .client: (read, written) = (slot.pointee.read_base.0, slot.pointee.write_base.0)
        case .upstream: (read, written) = (slot.pointee.read_base.1, slot.pointee.write_base.1)
        }
    }
}
