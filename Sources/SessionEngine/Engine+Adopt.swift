internal import BatonCore
internal import CSessionArena
internal import Libc

extension Engine {
    /// The most owners that may have ended by their own fault at work on a session that is taken over.
    private static let maxDeaths: UInt32 = 1

    /// The extents that states of live sessions name, which nobody has checked.
    static func claims(_ arena: borrowing Arena, _ usedSlots: Range<Int>) -> Set<UInt32> {
        var claims: Set<UInt32> = []
        for index in usedSlots {
            let slot = arena.slot(index)
            guard arena_phase(slot) == ARENA_LIVE else { continue }
            let state = arena_state_at(slot, arena_current(slot))
            var extents = [state.pointee.lasting_extent]
            for leg in LegIndex.both {
                let place = arena_leg_at(state, leg.rawValue).pointee
                extents += [place.input_extent, place.output_extent, place.fragment_extent]
            }
            for extent in extents where extent < UInt32(arena.extentCount) { claims.insert(extent) }
        }
        return claims
    }

    /// Takes over what the arena has. A session that was being worked on when its owner ended is taken over, and has its
    /// first turn, before any other is touched: if it ends this owner too, that will be known of it.
    mutating func takeOver(
        _ usedSlots: Range<Int>, after former: FormerEnd, _ sockets: [SlotName: (client: CInt, upstream: CInt)]
    ) {
        var marked: [Int] = []
        var unsettled: [Int] = []
        let isHandedOver = if case .relinquished = former { true } else { false }
        for index in usedSlots {
            let slot = arena.slot(index)
            guard arena_phase(slot) != ARENA_FREE else { continue }
            backlog.add(index, number: slot.pointee.session)
            if arena_phase(slot) == ARENA_UNSETTLED { unsettled.append(index) }
            if slot.pointee.at_work != 0, arena_phase(slot) == ARENA_LIVE {
                if case .fault = former { slot.pointee.deaths &+= 1 }
                marked.append(index)
            }
            if isHandedOver { slot.pointee.handovers &+= 1 }
        }
        for (name, pair) in sockets {
            if backlog.contains(name.slot), arena.slot(name.slot).pointee.generation == name.generation {
                backlog.give(pair, to: name.slot)
            } else {
                // Of a session that has ended before anybody was told.
                ArenaPreparation.close(name.slot, pair, epoll, resetting: false)
                released.append(name)
            }
        }
        for index in marked {
            takeOver(index, isAwaited: true)
            arena_set_at_work(arena.slot(index), 0)
        }
        for index in unsettled { takeOver(index, isAwaited: true) }
        // A marked session's slot may have become free by its first turn.
        freeSlots = []
        for index in (0..<arena.slotCount).reversed()
        where index >= usedSlots.upperBound || arena_phase(arena.slot(index)) == ARENA_FREE {
            freeSlots.append(Int32(index))
        }
        beganAt = MonotonicTime.now
        if portion == .max { takeOverAll() }
    }

    /// Takes over some of those that are left; few while others have something to do.
    mutating func takeOverPortion(isBusy: Bool = false) {
        guard isTakingOver else { return }
        for _ in 0..<(isBusy ? max(1, portion / 16) : portion) {
            guard let index = backlog.takeNext() else { break }
            takeOver(index, isAwaited: false)
        }
        guard backlog.count == 0 else { return }
        isTakingOver = false
        for extent in backlog.takeUnused() { pool.giveBack(extent, to: arena) }
        events.append(.settled)
    }

    /// Takes over all that are left.
    package mutating func takeOverAll() {
        while isTakingOver { takeOverPortion() }
    }

    /// Where a session is, which is taken over if it has not been.
    mutating func find(_ number: UInt64) -> Int? {
        if let slot = backlog.slot(of: number) { takeOver(slot, isAwaited: true) }
        return slots[number].map(Int.init)
    }

    /// Takes a session over and gives it its first turn.
    ///
    /// - Parameter isAwaited: whether something has happened to it, which has had to wait.
    mutating func takeOver(_ index: Int, isAwaited: Bool) {
        let slot = arena.slot(index)
        arena_set_at_work(slot, 1)
        adopt(index)
        arena_set_at_work(slot, 0)
        guard isTaken(index) else { return }
        if let moveEvery {
            slot.pointee.move_every = moveEvery
            sessions[index].countMessages(upTo: moveEvery)
        }
        events.append(.adopted(summary(of: index), servedAt: isAwaited ? MonotonicTime.now : beganAt))
        turn(index, readable: nil)
    }

    private mutating func adopt(_ index: Int) {
        let slot = arena.slot(index)
        let found = backlog.take(index, number: slot.pointee.session)
        do throws(AdoptionError) {
            // What was never whole, or whose end was under way, is no session.
            guard arena_phase(slot) != ARENA_UNSETTLED else { throw .noSockets }
            guard arena_phase(slot) == ARENA_LIVE else { throw .impossible }
            guard slot.pointee.deaths <= Engine.maxDeaths else { throw .poisoned }
            guard let (client, upstream) = found else { throw .noSockets }
            guard slots[slot.pointee.session] == nil else { throw .impossible }
            place(
                try Session(adopting: index, client: client, upstream: upstream, in: arena, used: &backlog.used))
            if !sessions[index].kind.hasUpstream {
                // One more of its socket.
                Leg.watch(upstream, .upstream, at: index, for: 0, EPOLL_CTL_DEL, in: epoll)
                close(upstream)
            }
        } catch {
            if arena_phase(slot) != ARENA_UNSETTLED {
                let session = LostSession(
                    slot: index, number: slot.pointee.session,
                    note: SessionFacts.note(slot, arena_state_at(slot, arena_current(slot)), arena), reason: error)
                lost.append(session)
                events.append(.lost(session))
            }
            if let found { ArenaPreparation.close(index, found, epoll, resetting: true) }
            arena_erase(slot)
            freeSlots.append(Int32(index))
            released.append(SlotName(slot: index, generation: slot.pointee.generation))
        }
    }
}
