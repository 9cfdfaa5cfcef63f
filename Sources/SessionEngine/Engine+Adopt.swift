internal import CSessionArena
internal import Glibc

extension Engine {
    /// The most owners that may have ended by their own fault at work on a session that is taken over.
    private static let mostDeaths: UInt32 = 1

    /// The extents that states of live sessions name, which nobody has checked.
    static func claims(_ arena: borrowing Arena) -> Set<UInt32> {
        var claims: Set<UInt32> = []
        for index in 0..<arena.usedSlotCount {
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
    mutating func adopt(
        after former: FormerEnd, _ claims: Set<UInt32>, _ sockets: (SlotName) -> (client: CInt, upstream: CInt)?
    ) {
        var used: Set<UInt32> = []
        var marked: [Int] = []
        var others: [Int] = []
        for index in 0..<arena.usedSlotCount {
            let slot = arena.slot(index)
            guard arena_phase(slot) != ARENA_FREE else { continue }
            if slot.pointee.at_work != 0, arena_phase(slot) == ARENA_LIVE {
                marked.append(index)
            } else {
                others.append(index)
            }
        }
        for index in marked {
            let slot = arena.slot(index)
            if case .fault = former { slot.pointee.deaths &+= 1 }
            adopt(index, sockets, &used)
            if isTaken(index) { turn(index, readable: nil) }
            arena_set_at_work(slot, 0)
        }
        for index in others {
            let slot = arena.slot(index)
            arena_set_at_work(slot, 1)
            adopt(index, sockets, &used)
            arena_set_at_work(slot, 0)
        }
        for extent in claims.subtracting(used) { pool.giveBack(extent, to: arena) }
        // A marked session's slot may have become free by its first turn.
        freeSlots = []
        for index in (0..<arena.slotCount).reversed()
        where index >= arena.usedSlotCount || arena_phase(arena.slot(index)) == ARENA_FREE {
            freeSlots.append(Int32(index))
        }
        for index in others where isTaken(index) { turn(index, readable: nil) }
    }

    private mutating func adopt(
        _ index: Int, _ sockets: (SlotName) -> (client: CInt, upstream: CInt)?, _ used: inout Set<UInt32>
    ) {
        let slot = arena.slot(index)
        let found = sockets(SlotName(slot: index, generation: slot.pointee.generation))
        do throws(AdoptionError) {
            // What was never whole, or whose end was under way, is no session.
            guard arena_phase(slot) != ARENA_UNSETTLED else { throw .noSockets }
            guard arena_phase(slot) == ARENA_LIVE else { throw .impossible }
            guard slot.pointee.deaths <= Engine.mostDeaths else { throw .poisoned }
            guard let (client, upstream) = found else { throw .noSockets }
            guard slots[slot.pointee.session] == nil else { throw .impossible }
            place(try Session(adopting: index, client: client, upstream: upstream, in: arena, used: &used))
        } catch {
            if arena_phase(slot) != ARENA_UNSETTLED {
                lost.append(
                    LostSession(
                        slot: index, number: slot.pointee.session,
                        note: SessionFacts.note(slot, arena_state_at(slot, arena_current(slot)), arena), reason: error))
            }
            if let (client, upstream) = found {
                for descriptor in [client, upstream] {
                    stream_reset(descriptor)
                    close(descriptor)
                }
            }
            arena_erase(slot)
        }
    }
}
