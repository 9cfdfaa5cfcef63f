internal import CSessionArena
internal import Glibc
internal import TLSRecords

/// The worker's data path: sessions in slots of an arena, one thread, one epoll set, level-triggered.
///
/// It does no handshakes and accepts nothing: sessions come to it with both sides connected, or from an arena that another
/// engine has left. It has no time limits.
package struct Engine: ~Copyable {
    private let arena: Arena
    private let owner: UInt64
    private let epoll: CInt
    private var pool: ExtentPool
    private var sessions: UnsafeMutableBufferPointer<Session?>
    private let working: UnsafeMutablePointer<arena_state>
    private let plaintext: UnsafeMutableRawBufferPointer
    private var events = [epoll_event](repeating: epoll_event(), count: 256)
    /// Sessions that wait for extents to come back.
    private var starved: [Int] = []
    private var returnsSeen: UInt64 = 0
    /// How many sessions live.
    package private(set) var sessionCount = 0
    /// Why each session that could not be taken over was not.
    package private(set) var lost: [(slot: Int, reason: AdoptionError)] = []

    /// Takes an arena over and with it the sessions that live in it.
    ///
    /// - Parameters:
    ///   - owner: a number that no other owner has or had.
    ///   - former: the owner before, which has ended or has relinquished the arena (0).
    ///   - descriptors: gives the sockets of a live slot, which are the engine's from then on.
    package init(
        taking arena: consuming Arena, as owner: UInt64, after former: UInt64 = 0,
        descriptors: (_ slot: Int) -> (client: CInt, upstream: CInt)? = { _ in nil }
    ) throws(ArenaError) {
        let poll = epoll_create1(Int32(O_CLOEXEC))
        guard poll >= 0 else { throw .noMemory(errno) }
        guard arena.pass(from: former, to: owner) else {
            close(poll)
            throw .otherOwner(arena_owner(arena.header))
        }
        epoll = poll
        self.owner = owner
        sessions = .allocate(capacity: arena.slotCount)
        for index in 0..<arena.slotCount { sessions.initializeElement(at: index, to: nil) }
        working = .allocate(capacity: 1)
        working.initialize(to: arena_state())
        plaintext = .allocate(byteCount: Connection.longestRecord, alignment: 64)
        var used: Set<UInt32> = []
        for index in 0..<arena.slotCount {
            let slot = arena.slot(index)
            guard arena_phase(slot) != ARENA_FREE else { continue }
            let sockets = descriptors(index)
            do throws(AdoptionError) {
                // What was never whole, or whose end was under way, is no session.
                guard arena_phase(slot) != ARENA_UNSETTLED else { throw .noSockets }
                guard arena_phase(slot) == ARENA_LIVE else { throw .impossible }
                guard let (client, upstream) = sockets else { throw .noSockets }
                let session = try Session(
                    adopting: index, client: client, upstream: upstream, in: arena, used: &used)
                sessions[index] = consume session
                sessionCount += 1
            } catch {
                if arena_phase(slot) != ARENA_UNSETTLED { lost.append((index, error)) }
                if let (client, upstream) = sockets {
                    for descriptor in [client, upstream] {
                        stream_reset(descriptor)
                        close(descriptor)
                    }
                }
                arena_erase(slot)
            }
        }
        pool = ExtentPool(arena, used: used)
        self.arena = arena
        for index in sessions.indices where isTaken(index) { turn(index, readable: nil) }
    }

    /// Relinquishes the arena: its sessions stay as they are, for the next owner.
    deinit {
        for index in sessions.indices { sessions.deinitializeElement(at: index) }
        sessions.deallocate()
        explicit_bzero(working, MemoryLayout<arena_state>.size)
        working.deallocate()
        explicit_bzero(plaintext.baseAddress!, plaintext.count)
        plaintext.deallocate()
        close(epoll)
        _ = arena.pass(from: owner, to: 0)
    }

    /// Begins a session between two connected sockets.
    ///
    /// - Returns: its slot.
    package mutating func begin(
        number: UInt64, client: consuming LegStart, upstream: consuming LegStart
    ) throws(BeginError) -> Int {
        guard let index = sessions.indices.first(where: { !isTaken($0) }) else { throw .noRoom }
        let slot = arena.slot(index)
        arena_set_phase(slot, UInt32(ARENA_UNSETTLED))
        do throws(BeginError) {
            let session = try Session(
                beginning: index, number: number, client: client, upstream: upstream, in: arena, pool: &pool)
            sessions[index] = consume session
        } catch {
            free(index, SessionRecord(slot, working: working))
            throw error
        }
        arena_set_phase(slot, UInt32(ARENA_LIVE))
        sessionCount += 1
        turn(index, readable: nil)
        return index
    }

    /// Works until no session is left.
    package mutating func run() {
        while sessionCount > 0 { step(waiting: -1) }
    }

    /// Works on what has happened.
    ///
    /// - Parameter milliseconds: how long to wait for something to happen; -1: as long as it takes.
    package mutating func step(waiting milliseconds: Int32) {
        let isAwaited = !starved.isEmpty && pool.returns != returnsSeen
        let count = epoll_wait(epoll, &events, Int32(events.count), isAwaited ? 0 : milliseconds)
        for number in 0..<max(0, Int(count)) {
            let event = events[number]
            let index = Int(event.data.u64 >> 1)
            guard isTaken(index) else { continue }
            let leg: LegIndex = event.data.u64 & 1 == 0 ? .client : .upstream
            let isReadable = event.events & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0
            turn(index, readable: isReadable ? leg : nil)
        }
        feedStarved()
    }

    /// Lets the sessions that wait for extents try again if some have come back.
    private mutating func feedStarved() {
        guard !starved.isEmpty, pool.returns != returnsSeen else { return }
        returnsSeen = pool.returns
        let waiting = starved
        starved = []
        for index in waiting where isTaken(index) {
            sessions[index]!.isStarved = false
            turn(index, readable: nil)
        }
    }

    private func isTaken(_ index: Int) -> Bool {
        switch sessions[index] {
        case .none: false
        case .some: true
        }
    }

    private mutating func turn(_ index: Int, readable: LegIndex?) {
        let slot = arena.slot(index)
        arena_set_at_work(slot, 1)
        let turn = Turn(record: SessionRecord(slot, working: working), plaintext: plaintext, now: Engine.now)
        var isOver = true
        do throws(SessionEnd) {
            isOver = try sessions[index]!.work(turn, readable: readable, arena: arena, pool: &pool)
        } catch {
            sessions[index]!.reset()
        }
        let wasRefused = pool.takeRefusal()
        if isOver {
            sessions[index]!.unwatch(in: epoll)
            free(index, turn.record)
            sessions[index] = nil
            sessionCount -= 1
            return
        }
        if wasRefused, !sessions[index]!.isStarved {
            sessions[index]!.isStarved = true
            starved.append(index)
        }
        sessions[index]!.watch(turn, in: epoll)
        arena_set_at_work(slot, 0)
    }

    /// Zeroes a slot: secrets do not outlive their session. Its extents are given back after that, because as long as the
    /// slot lives a new owner would look for bytes there.
    private mutating func free(_ index: Int, _ record: borrowing SessionRecord) {
        Step.pass()
        arena_erase(arena.slot(index))
        Step.pass()
        for leg in LegIndex.both {
            let place = record.leg(leg)
            for extent in [place.pointee.input_extent, place.pointee.output_extent, place.pointee.fragment_extent] {
                pool.giveBack(extent, to: arena)
            }
        }
        explicit_bzero(working, MemoryLayout<arena_state>.size)
    }

    /// Milliseconds of a clock that does not go back.
    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return UInt64(time.tv_sec) * 1_000 + UInt64(time.tv_nsec) / 1_000_000
    }
}
