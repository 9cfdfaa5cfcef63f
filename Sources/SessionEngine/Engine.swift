internal import CSessionArena
internal import Libc
internal import TLSRecords

/// The worker's data path: sessions in slots of an arena, one thread, one epoll set, level-triggered.
///
/// It does no handshakes and accepts nothing: sessions come to it with both sides connected, or from an arena that another
/// engine has left. What it has to tell waits in `takeEvents()` and `takeReleased()`.
package struct Engine: ~Copyable {
    let arena: Arena
    private let owner: UInt64
    let epoll: CInt
    private let wake: CInt?
    let keep: ([SessionSockets]) -> Void
    let respond: PageResponder
    var pool: ExtentPool
    /// By slot; there is one where `isTaken` says so.
    let sessions: UnsafeMutablePointer<Session>
    private var taken: [Bool]
    let working: UnsafeMutablePointer<arena_state>
    private let plaintext: UnsafeMutableRawBufferPointer
    private var reports = [epoll_event](repeating: epoll_event(), count: 256)
    /// Slots without a session; the last one is used first.
    var freeSlots: [Int32] = []
    var slots: [UInt64: Int32] = [:]
    /// Sessions that wait for extents to come back.
    private var starved: [Int] = []
    private var returnsSeen: UInt64 = 0
    /// Sessions that have more to do than one may at once.
    private var unfinished: [Int] = []
    /// Sessions of which a side only has to take its last bytes, or to end: they are looked at again and again.
    private var closing: [Int] = []
    private var nextLook: UInt64 = 0
    /// Sessions of which a side has been read as much as it may in a time, and when that is over for the first of them; `.max`:
    /// there are none.
    private var held: [Int] = []
    private var nextRelease = UInt64.max
    private var lastSweep: UInt64 = 0
    /// When something can be due; `.max`: never.
    private var nextSweep: UInt64 = 0
    private var nextTidying: UInt64 = 0
    /// Whether sessions have gone to rest whose memory the allocator still has.
    private var hasRested = false
    var limits: SessionLimits
    var events: [SessionEvent] = []
    var released: [SlotName] = []
    /// Why each session that could not be taken over was not.
    package internal(set) var lost: [LostSession] = []
    private var hasArena = true
    private var isRoused = false
    /// Sessions that are taken over later.
    var backlog: Backlog
    var isTakingOver = true
    let portion: Int
    /// When sessions were served first, on the monotonic clock in nanoseconds.
    var beganAt: UInt64 = 0
    /// The same in milliseconds of the clock that turns use.
    private let began = Engine.now
    /// What sessions get that are taken over later; `nil`: they keep what they have.
    var moveEvery: UInt32?

    /// How many sessions live.
    package var sessionCount: Int { slots.count + backlog.count }

    /// How many have given back all that their slots have, because nothing comes.
    package var restingCount: Int { taken.indices.count { isTaken($0) && sessions[$0].isResting } }

    /// Takes an arena over and with it the sessions that live in it.
    ///
    /// - Parameters:
    ///   - owner: a number that no other owner has or had.
    ///   - former: how the owner before ended.
    ///   - wake: an eventfd(2) at which `step` returns. It is not read.
    ///   - portion: how many sessions are taken over at once, beside those that something has happened to.
    ///   - sockets: gives the sockets of a live slot, which are the engine's from then on.
    ///   - keep: is called with the sockets of sessions that are about to live.
    ///   - respond: answers what pages are asked.
    package init(
        taking arena: consuming Arena, as owner: UInt64, after former: FormerEnd = .relinquished,
        limits: SessionLimits = SessionLimits(), wakeable wake: CInt? = nil, portion: Int = .max,
        sockets: (SlotName) -> (client: CInt, upstream: CInt)? = { _ in nil },
        keep: @escaping ([SessionSockets]) -> Void = { _ in },
        respond: @escaping PageResponder = { _ in [] }
    ) throws(ArenaError) {
        var preparation = try ArenaPreparation(arena, wakeable: wake)
        if preparation.owner == former.owner {
            for index in 0..<preparation.arena.usedSlotCount() {
                let slot = preparation.arena.slot(index)
                guard arena_phase(slot) != ARENA_FREE else { continue }
                let name = SlotName(slot: index, generation: slot.pointee.generation)
                if let (client, upstream) = sockets(name) { preparation.add(name, client: client, upstream: upstream) }
            }
        }
        try self.init(
            taking: preparation, as: owner, after: former, limits: limits, portion: portion, keep: keep,
            respond: respond)
    }

    /// As above, of an arena that has been prepared. Its sockets are closed if another has it.
    package init(
        taking preparation: consuming ArenaPreparation, as owner: UInt64, after former: FormerEnd = .relinquished,
        limits: SessionLimits = SessionLimits(), portion: Int = .max,
        keep: @escaping ([SessionSockets]) -> Void = { _ in },
        respond: @escaping PageResponder = { _ in [] }
    ) throws(ArenaError) {
        guard preparation.arena.pass(from: former.owner, to: owner) else {
            let other = preparation.owner
            preparation.abandon()
            throw .otherOwner(other)
        }
        let sockets = preparation.sockets
        epoll = preparation.epoll
        wake = preparation.wake
        arena = preparation.arena
        self.owner = owner
        self.limits = limits
        self.portion = portion
        self.keep = keep
        self.respond = respond
        sessions = .allocate(capacity: arena.slotCount)
        taken = Array(repeating: false, count: arena.slotCount)
        working = .allocate(capacity: 1)
        working.initialize(to: arena_state())
        plaintext = .allocate(byteCount: Connection.longestRecord, alignment: 64)
        let usedSlots = 0..<arena.usedSlotCount()
        let claims = Engine.claims(arena, usedSlots)
        pool = ExtentPool(arena, used: claims)
        backlog = Backlog(claims: claims)
        UnixStream.settle(arena)
        takeOver(usedSlots, after: former, sockets)
    }

    /// Relinquishes the arena: its sessions stay as they are, for the next owner. Nothing can be done with the engine after
    /// that; it only lets go of what was its own.
    package mutating func relinquish() {
        guard hasArena else { return }
        hasArena = false
        _ = arena.pass(from: owner, to: 0)
    }

    deinit {
        if hasArena { _ = arena.pass(from: owner, to: 0) }
        for index in taken.indices where taken[index] { (sessions + index).deinitialize(count: 1) }
        sessions.deallocate()
        explicit_bzero(working, MemoryLayout<arena_state>.size)
        working.deallocate()
        explicit_bzero(plaintext.baseAddress!, plaintext.count)
        plaintext.deallocate()
        backlog.closeAll()
        close(epoll)
    }

    /// What has happened since this was asked last.
    package mutating func takeEvents() -> [SessionEvent] {
        guard !events.isEmpty else { return [] }
        defer { events = [] }
        return events
    }

    /// Slots that have become free since this was asked last.
    package mutating func takeReleased() -> [SlotName] {
        guard !released.isEmpty else { return [] }
        defer { released = [] }
        return released
    }

    /// Whether a step has returned for the eventfd(2) since this was asked last.
    mutating func takeRousing() -> Bool {
        defer { isRoused = false }
        return isRoused
    }

    // MARK: Work

    /// Works until no session is left.
    package mutating func run() {
        while sessionCount > 0 { step(waiting: -1) }
    }

    /// Works on what has happened.
    ///
    /// - Parameter milliseconds: how long to wait for something to happen; -1: as long as it takes.
    package mutating func step(waiting milliseconds: Int32) {
        let isAwaited =
            backlog.count > 0 || !unfinished.isEmpty || !starved.isEmpty && pool.returns != returnsSeen
        let waiting = unfinished
        unfinished = []
        for index in waiting where isTaken(index) { sessions[index].isQueued = false }
        let count = epoll_wait(
            epoll, &reports, Int32(reports.count), isAwaited ? 0 : untilNextTime(atMost: milliseconds))
        for number in 0..<max(0, Int(count)) {
            let report = reports[number]
            guard report.data.u64 != .max else {
                isRoused = true
                continue
            }
            let index = Int(report.data.u64 >> 1)
            guard isTaken(index) else {
                // What it is ready for it says again, if the session can go on with that.
                if backlog.contains(index) { takeOver(index, isAwaited: true) }
                continue
            }
            let leg: LegIndex = report.data.u64 & 1 == 0 ? .client : .upstream
            let isReadable = report.events & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0
            turn(index, readable: isReadable ? leg : nil)
        }
        takeOverPortion(isBusy: count > 0)
        // Those that have had their turn for what has happened to them stand at the end again, and go on at the next step.
        for index in waiting where isTaken(index) && sessions[index].hasMore && !sessions[index].isQueued {
            turn(index, readable: nil)
        }
        feedStarved()
        lookAtTime()
    }

    /// Lets the sessions that wait for extents try again if some have come back.
    private mutating func feedStarved() {
        guard !starved.isEmpty, pool.returns != returnsSeen else { return }
        returnsSeen = pool.returns
        let waiting = starved
        starved = []
        for index in waiting where isTaken(index) && sessions[index].isStarved {
            sessions[index].isStarved = false
            turn(index, readable: nil)
        }
    }

    func isTaken(_ index: Int) -> Bool { taken[index] }

    /// Gives a session its slot.
    mutating func place(_ session: consuming Session) {
        let index = session.slot
        slots[session.number] = Int32(index)
        (sessions + index).initialize(to: session)
        taken[index] = true
        sweepSoon()
    }

    private mutating func remove(_ index: Int) {
        taken[index] = false
        (sessions + index).deinitialize(count: 1)
    }

    mutating func turn(_ index: Int, readable: LegIndex?) {
        guard !sessions[index].isPaused else { return }
        let slot = arena.slot(index)
        arena_set_at_work(slot, 1)
        let now = Engine.now
        let turn = Turn(
            record: SessionRecord(slot, working: working), plaintext: plaintext, now: now, limits: limits)
        let before = sessions[index].passed
        if sessions[index].isResting { sweepSoon() }
        let isOver = sessions[index].work(turn, readable: readable, arena: arena, pool: &pool, respond)
        let wasRefused = pool.takeRefusal()
        if sessions[index].passed != before { slot.pointee.activity = now }
        if isOver {
            end(index)
            return
        }
        if sessions[index].hasMore, !sessions[index].isQueued {
            sessions[index].isQueued = true
            unfinished.append(index)
        }
        if wasRefused, !sessions[index].isStarved {
            sessions[index].isStarved = true
            starved.append(index)
        }
        if !sessions[index].isClosing, turn.isClosing(sessions[index].kind) {
            sessions[index].isClosing = true
            if closing.isEmpty { nextLook = now + 1 }
            closing.append(index)
        }
        if sessions[index].countMessages(), !sessions[index].isClosing {
            // What comes meanwhile is the next owner's.
            sessions[index].pause(in: epoll)
            events.append(.due(sessions[index].number))
        } else {
            sessions[index].watch(turn, in: epoll)
        }
        if sessions[index].heldUntil != 0 { hold(index) }
        if slot.pointee.deaths != 0, now &- began >= limits.blameTime { slot.pointee.deaths = 0 }
        arena_set_at_work(slot, 0)
    }

    private mutating func hold(_ index: Int) {
        nextRelease = min(nextRelease, sessions[index].heldUntil)
        guard !sessions[index].isHeld else { return }
        sessions[index].isHeld = true
        held.append(index)
    }

    /// Lets the sessions go on whose time has come.
    private mutating func releaseHeld(_ now: UInt64) {
        let all = held
        held = []
        nextRelease = .max
        for index in all where isTaken(index) && sessions[index].isHeld {
            sessions[index].isHeld = false
            if sessions[index].heldUntil > now {
                hold(index)
            } else {
                sessions[index].release(at: now)
                turn(index, readable: nil)
            }
        }
        // Many that come one after another are let go together.
        if nextRelease < .max { nextRelease = max(nextRelease, now + 5) }
    }

    // MARK: Ends

    /// The session is over: its sockets are closed, and its slot is free.
    mutating func end(_ index: Int) {
        if limits.describesEnds { events.append(.described(summary(of: index))) }
        events.append(.ended(sessions[index].number, sessions[index].outcome ?? .inOrder))
        vacate(index)
    }

    /// Resets both sides of a session at once.
    mutating func cutOff(_ index: Int, _ outcome: SessionOutcome) {
        sessions[index].reset()
        sessions[index].blame(outcome)
        end(index)
    }

    /// Ends a session by a decision of this side's: one of one leg in order, behind what is there to be sent, if there is room to
    /// say so.
    /// Neither side of a relay has ended, so both are reset.
    mutating func finish(_ index: Int, _ outcome: SessionOutcome) {
        guard !sessions[index].kind.hasUpstream else { return cutOff(index, outcome) }
        // Its last bytes may still be on their way.
        if sessions[index].outcome == outcome { return }
        let turn = Turn(
            record: SessionRecord(arena.slot(index), working: working), plaintext: plaintext, now: Engine.now,
            limits: limits)
        guard sessions[index].finishAlone(turn, arena: arena, pool: &pool) else { return cutOff(index, outcome) }
        sessions[index].blame(outcome)
        sessions[index].resume()
        self.turn(index, readable: nil)
    }

    /// Frees the slot of a session, which no owner can adopt from here on.
    mutating func vacate(_ index: Int) {
        sessions[index].unwatch(in: epoll)
        slots[sessions[index].number] = nil
        free(index)
        remove(index)
    }

    /// Zeroes a slot: secrets do not outlive their session. Its extents are given back after that, because as long as the
    /// slot lives a new owner would look for bytes there.
    mutating func free(_ index: Int) {
        let slot = arena.slot(index)
        let record = SessionRecord(slot, working: working)
        Step.pass()
        arena_erase(slot)
        Step.pass()
        for leg in LegIndex.both {
            let place = record.leg(leg)
            for extent in [place.pointee.input_extent, place.pointee.output_extent, place.pointee.fragment_extent] {
                pool.giveBack(extent, to: arena)
            }
        }
        pool.giveBack(record.state.pointee.lasting_extent, to: arena)
        explicit_bzero(working, MemoryLayout<arena_state>.size)
        freeSlots.append(Int32(index))
        released.append(SlotName(slot: index, generation: slot.pointee.generation))
        sweepSoon()
    }

    // MARK: Time

    /// Milliseconds of a clock that does not go back and is the same in all processes.
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return UInt64(time.tv_sec) * 1_000 + UInt64(time.tv_nsec) / 1_000_000
    }

    private static let sweepInterval: UInt64 = 250
    private static let restAfter: UInt64 = 2_000
    private static let tidyInterval: UInt64 = 2_000

    /// Something may be due earlier than the last sweep has found.
    mutating func sweepSoon() { nextSweep = min(nextSweep, lastSweep + Engine.sweepInterval) }

    private func untilNextTime(atMost milliseconds: Int32) -> Int32 {
        let next = min(nextRelease, closing.isEmpty ? nextSweep : min(nextSweep, nextLook))
        guard milliseconds != 0, next < .max else { return milliseconds }
        let now = Engine.now
        let left = Int32(clamping: next > now ? next - now : 0)
        return milliseconds < 0 ? left : min(left, milliseconds)
    }

    private mutating func lookAtTime() {
        let now = Engine.now
        if !closing.isEmpty, now >= nextLook {
            // A peer acknowledges within milliseconds, or is slow.
            nextLook = now + UInt64(min(50, 2 + closing.count / 16))
            lookAtClosing(now)
        }
        if now >= nextRelease { releaseHeld(now) }
        if now >= nextSweep { sweep(now) }
    }

    private mutating func lookAtClosing(_ now: UInt64) {
        let all = closing
        closing = []
        for index in all where isTaken(index) && sessions[index].isClosing {
            let record = SessionRecord(arena.slot(index), working: working)
            if sessions[index].hasStalled(record, now: now, limit: limits.closeTimeout) {
                cutOff(index, .idle)
                continue
            }
            turn(index, readable: nil)
            if isTaken(index) { closing.append(index) }
        }
    }

    /// Ends sessions that have been idle for too long, lets others rest, and finds out when that can be due again. Nothing
    /// wakes the thread of an engine whose sessions all rest and have no limit.
    private mutating func sweep(_ now: UInt64) {
        var next = UInt64.max
        for index in taken.indices where isTaken(index) {
            let slot = arena.slot(index)
            let idle = now &- min(now, slot.pointee.activity)
            let limit = slot.pointee.idle_limit
            if limit > 0, idle >= UInt64(limit) {
                // What the kernel still delivers is a sign of life too.
                guard sessions[index].peersHaveTakenMore() else {
                    finish(index, .idle)
                    continue
                }
                slot.pointee.activity = now
            } else if idle >= Engine.restAfter, !sessions[index].isResting {
                sessions[index].rest()
                hasRested = true
            }
            let activity = min(now, slot.pointee.activity)
            if limit > 0 { next = min(next, activity + UInt64(limit)) }
            if !sessions[index].isResting { next = min(next, activity + Engine.restAfter) }
        }
        if now >= nextTidying { tidy(now) }
        if hasRested || pool.isWarm { next = min(next, nextTidying) }
        lastSweep = now
        nextSweep = max(next, now + Engine.sweepInterval)
    }

    /// Gives memory back to the system that nothing has needed for a while.
    private mutating func tidy(_ now: UInt64) {
        nextTidying = now + Engine.tidyInterval
        pool.cool(arena)
        guard hasRested else { return }
        hasRested = false
        Heap.trim()
    }
}
