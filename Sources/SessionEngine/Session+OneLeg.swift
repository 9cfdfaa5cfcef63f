internal import CSessionArena
internal import Libc

/// A session of one leg: an echo, whose input becomes its own output, or a page, whose requests become answers.
extension Session {
    /// Does what the socket is ready for, as far as it goes.
    ///
    /// - Returns: whether the session is over.
    mutating func workAlone(
        _ turn: borrowing Turn, isReadable: Bool, arena: borrowing Arena, pool: inout ExtentPool,
        _ respond: PageResponder
    ) -> Bool {
        if turn.isFoundBroken(client.isReset, .client) { turn.breakOff(&client) }
        if isReadable {
            let isAllowed = turn.mayRead(client, other: client)
            turn.read(&client, isAllowed: isAllowed, arena: arena, pool: &pool)
        }
        // What writing makes room for, the input may wait for.
        var before: UInt64
        var answersLeft = PageQuestion.maxAnswersAtOnce
        repeat {
            before = passed
            if kind == .page {
                turn.answerRequests(&client, left: &answersLeft, arena: arena, pool: &pool, respond)
            } else {
                turn.echo(&client, arena: arena, pool: &pool)
            }
            turn.write(&client, arena: arena, pool: &pool)
        } while passed != before && answersLeft > 0
        hasMore = answersLeft <= 0
        // Whatever a peer has said that takes no answer any more, there is nobody to tell.
        if client.isUnwritable { turn.breakOff(&client) }
        turn.giveBackEmpty(client, upstream, arena: arena, pool: &pool)
        if let cause = client.cause { blame(cause) }
        return isOver
    }

    /// Has epoll(7) report what the session can go on with.
    mutating func watchAlone(_ turn: borrowing Turn, in epoll: CInt) {
        client.watch(for: turn.interest(client, other: client, isStarved: isStarved), at: slot, in: epoll)
    }

    /// Has our end in order follow what is there to be sent.
    ///
    /// - Returns: whether the session can end so.
    mutating func finishAlone(_ turn: borrowing Turn, arena: borrowing Arena, pool: inout ExtentPool) -> Bool {
        wake(turn.record.slot, arena) && turn.finish(&client, arena, &pool)
    }

    // MARK: Adoption

    /// Whether these are such flags as are published together.
    static func arePossibleAlone(_ flags: UInt32) -> Bool {
        let isTLS = flags & ARENA_LEG_TLS != 0
        let hasFailed = flags & ARENA_LEG_FAILED != 0
        let isEnding = flags & ARENA_LEG_ENDING != 0
        let broken = ARENA_LEG_BROKEN | ARENA_LEG_RESETTING
        guard flags & ~ARENA_LEG_FLAGS == 0, flags & ARENA_LEG_OWES_UPDATE == 0 || isTLS,
            isEnding == (flags & ARENA_LEG_READ_CLOSED != 0),
            (flags & ARENA_LEG_WRITE_CLOSED != 0) == (isTLS && isEnding), flags & broken != broken
        else { return false }
        return !hasFailed || isEnding && flags & broken == 0
    }

    /// Whether a state names nothing of a leg.
    static func isAbsent(
        _ index: LegIndex, _ slot: UnsafeMutablePointer<arena_slot>, _ state: UnsafeMutablePointer<arena_state>
    ) -> Bool {
        let leg = arena_leg_at(state, index.rawValue).pointee
        return leg.flags == 0 && leg.fragment_count == 0 && leg.consumed == 0 && leg.produced == 0
            && [leg.input_extent, leg.output_extent, leg.fragment_extent].allSatisfy { $0 == ARENA_NO_EXTENT }
            && !UnixStream.isUnix(slot, index.rawValue)
    }
}
