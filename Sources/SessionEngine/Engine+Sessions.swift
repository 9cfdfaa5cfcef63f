internal import CSessionArena
internal import Libc
internal import TLSRecords

/// What the owner of an engine does with its sessions.
extension Engine {
    // MARK: In and out

    /// Begins sessions.
    ///
    /// - Returns: those that could not begin, each in its parcel again.
    package mutating func begin(_ parcels: [SessionParcel]) -> [(SessionParcel, BeginError)] {
        var refused: [(SessionParcel, BeginError)] = []
        var begun: [Int] = []
        for parcel in parcels {
            guard let session = parcel.take() else { continue }
            do throws(BeginError) {
                begun.append(try fill(session, parcel))
            } catch {
                refused.append((parcel, error))
            }
        }
        guard !begun.isEmpty else { return refused }
        keep(
            begun.map { index in
                let (client, upstream) = sessions[index].sockets
                return SessionSockets(
                    slot: SlotName(slot: index, generation: arena.slot(index).pointee.generation), client: client,
                    upstream: upstream)
            })
        for index in begun {
            Step.pass()
            arena_set_phase(arena.slot(index), UInt32(ARENA_LIVE))
            turn(index, readable: nil)
        }
        return refused
    }

    /// Writes a session into a free slot, which stays unsettled. One that has no place is put back.
    private mutating func fill(
        _ session: consuming SessionAtRest, _ parcel: SessionParcel
    ) throws(BeginError) -> Int {
        do throws(BeginError) {
            guard slots[session.number] == nil, backlog.slot(of: session.number) == nil else { throw .numberInUse }
            guard !freeSlots.isEmpty else { throw .noRoom }
            let needs = try SessionNeeds(session)
            guard pool.available >= needs.extents + pool.reserve else { throw .noRoom }
        } catch {
            parcel.restore(session)
            throw error
        }
        let index = Int(freeSlots.removeLast())
        let bandwidth = session.bandwidth
        let slot = arena.slot(index)
        arena_set_phase(slot, UInt32(ARENA_UNSETTLED))
        Step.pass()
        slot.pointee.activity = Engine.now &- min(Engine.now, session.idleTime)
        do throws(BeginError) {
            place(try Session(beginning: index, &session, in: arena, pool: &pool, limits, respond))
            if bandwidth > 0 { sessions[index].setBandwidth(bandwidth, at: Engine.now) }
        } catch {
            free(index)
            parcel.restore(session)
            throw error
        }
        return index
    }

    /// Takes sessions out.
    ///
    /// A session's slot is free before anybody has the parcel: a death in between loses the session, and no two owners
    /// ever have it.
    package mutating func extract(
        _ numbers: [UInt64]
    ) -> (parcels: [SessionParcel], left: [(UInt64, ExtractError)]) {
        var parcels: [SessionParcel] = []
        var left: [(UInt64, ExtractError)] = []
        for number in numbers {
            do throws(ExtractError) {
                guard let index = find(number) else { throw .unknown }
                parcels.append(try extract(index))
            } catch {
                left.append((number, error))
            }
        }
        return (parcels, left)
    }

    /// Takes out at most `count` sessions, whichever.
    package mutating func extract(upTo count: Int) -> [SessionParcel] {
        takeOverAll()
        var parcels: [SessionParcel] = []
        for index in slots.values where parcels.count < count {
            if let parcel = try? extract(Int(index)) { parcels.append(parcel) }
        }
        return parcels
    }

    private mutating func extract(_ index: Int) throws(ExtractError) -> SessionParcel {
        let slot = arena.slot(index)
        let record = SessionRecord(slot, working: working)
        guard sessions[index].wake(slot, arena), sessions[index].mayLeave(record) else {
            goOn(index)
            throw .ending
        }
        let now = Engine.now
        let atRest = sessions[index].depart(
            record, note: SessionFacts.note(slot, record.state, arena),
            idleTime: now &- min(now, slot.pointee.activity),
            arena: arena)
        Step.pass()
        vacate(index)
        Step.pass()
        return SessionParcel(atRest)
    }

    /// Has sessions that are due to move go on here. They are due again when they have received as much once more.
    package mutating func goOn(_ numbers: [UInt64]) {
        for number in numbers { if let index = find(number) { goOn(index) } }
    }

    private mutating func goOn(_ index: Int) {
        guard sessions[index].isPaused else { return }
        sessions[index].resume()
        sessions[index].countMessages(upTo: arena.slot(index).pointee.move_every)
        turn(index, readable: nil)
    }

    // MARK: Words

    /// At most `limit` sessions whose numbers are above `number`, in the order of their numbers; `nil`: from the first.
    /// Those that have not been taken over yet are not among them.
    package func list(after number: UInt64?, limit: Int) -> [SessionSummary] {
        let numbers = slots.keys.filter { key in number.map { key > $0 } ?? true }.sorted().prefix(limit)
        return numbers.map { summary(of: Int(slots[$0]!)) }
    }

    /// What each session has read and written; not of those that have not been taken over yet.
    package var allCounts: [(number: UInt64, counts: SessionCounts)] {
        slots.map { ($0.key, sessions[Int($0.value)].counts) }
    }

    /// Those of these sessions that live, in the order of `numbers`.
    package func list(_ numbers: [UInt64]) -> [SessionSummary] {
        numbers.compactMap { number in slots[number].map { summary(of: Int($0)) } }
    }

    func summary(of index: Int) -> SessionSummary {
        let now = Engine.now
        let slot = arena.slot(index)
        return SessionSummary(
            number: sessions[index].number, slot: SlotName(slot: index, generation: slot.pointee.generation),
            note: SessionFacts.note(slot, arena_state_at(slot, arena_current(slot)), arena),
            counts: sessions[index].counts, before: sessions[index].countsBefore(slot),
            firstEnd: sessions[index].firstEnd, idleTime: now &- min(now, slot.pointee.activity),
            handovers: slot.pointee.handovers)
    }

    /// Replaces a session's note.
    ///
    /// - Returns: whether there is such a session and room for the note.
    package mutating func setNote(_ number: UInt64, _ note: [UInt8]) -> Bool {
        guard let index = find(number), note.count <= SessionAtRest.longestNote else { return false }
        let record = SessionRecord(arena.slot(index), working: working)
        return SessionFacts.replace(note, record, arena, &pool)
    }

    package mutating func setIdleLimit(_ number: UInt64, _ milliseconds: UInt32) {
        guard let index = find(number) else { return }
        arena.slot(index).pointee.idle_limit = milliseconds
        sweepSoon()
    }

    /// How many bytes a second either side of a session is read; 0: as many as come.
    package mutating func setBandwidth(_ number: UInt64, _ rate: UInt64) {
        guard let index = find(number) else { return }
        let wasHeld = sessions[index].heldUntil != 0
        sessions[index].setBandwidth(rate, at: Engine.now)
        if wasHeld { turn(index, readable: nil) }
    }

    package mutating func setLimits(_ limits: SessionLimits, moveEvery: UInt32) {
        let hasOthers = limits != self.limits
        self.limits = limits
        self.moveEvery = moveEvery
        for index in slots.values.map(Int.init) where isTaken(index) {
            arena.slot(index).pointee.move_every = moveEvery
            sessions[index].countMessages(upTo: moveEvery)
            if hasOthers { turn(index, readable: nil) }
        }
    }

    // MARK: Ends

    /// Resets both sides of sessions at once.
    package mutating func reset(_ numbers: [UInt64]) {
        for number in numbers { if let index = find(number) { cutOff(index, .closed) } }
    }

    /// Ends all sessions: echoes and pages in order, behind what they have to send, and relays by a reset of both sides.
    package mutating func closeAll() {
        takeOverAll()
        for index in Array(slots.values) { finish(Int(index), .closed) }
    }

    /// Resets both sides of all sessions at once.
    package mutating func resetAll() {
        takeOverAll()
        for index in Array(slots.values) { cutOff(Int(index), .closed) }
    }
}
