internal import CSessionArena
internal import Libc

/// A session as the arena has it, and the working copy of its state.
///
/// `publish()` is the only way in which anything becomes true of a session: it copies the working state to the slot's state
/// that does not count and makes that one count, by one store. A worker that dies before the store has not done what led to
/// it, and one that dies after it has.
struct SessionRecord {
    let slot: UnsafeMutablePointer<arena_slot>
    /// The worker's; one for all sessions, because one is worked on at a time.
    private let working: UnsafeMutablePointer<arena_state>

    /// Begins work on a session.
    init(_ slot: UnsafeMutablePointer<arena_slot>, working: UnsafeMutablePointer<arena_state>) {
        self.slot = slot
        self.working = working
        working.pointee = arena_state_at(slot, arena_current(slot)).pointee
    }

    /// One leg of the working state.
    @inline(__always)
    func leg(_ index: LegIndex) -> UnsafeMutablePointer<arena_leg> { arena_leg_at(working, index.rawValue) }

    /// The working state.
    var state: UnsafeMutablePointer<arena_state> { working }

    /// Where a page's next request has come to. Who has taken the session over has found that it is one.
    var scanner: RequestScanner {
        get { RequestScanner(in: working) ?? RequestScanner() }
        nonmutating set { newValue.store(in: working) }
    }

    /// Bytes for a leg's peer that it is not known to have.
    func waiting(_ leg: borrowing Leg) -> Int {
        guard !leg.isReset else { return 0 }
        return Int(self.leg(leg.index).pointee.produced - leg.written) + Int(stream_unacknowledged(leg.descriptor))
    }

    /// Publishes the working state. A secret that it replaces is left nowhere (RFC 8446 section 7.2).
    func publish() {
        let former = arena_current(slot) & 1
        flip(to: 1 - former)
        guard holdsOtherSecrets(arena_state_at(slot, former)) else { return }
        flip(to: former)
    }

    @inline(__always)
    private func flip(to next: UInt32) {
        Step.pass()
        arena_state_at(slot, next).pointee = working.pointee
        Step.pass()
        arena_publish(slot, next)
        Step.pass()
    }

    @inline(__always)
    private func holdsOtherSecrets(_ state: UnsafeMutablePointer<arena_state>) -> Bool {
        let size = Int(ARENA_SECRET_MAX)
        return LegIndex.both.contains { index in
            let mine = arena_leg_at(working, index.rawValue)
            let other = arena_leg_at(state, index.rawValue)
            return memcmp(&mine.pointee.reading.secret, &other.pointee.reading.secret, size) != 0
                || memcmp(&mine.pointee.writing.secret, &other.pointee.writing.secret, size) != 0
        }
    }
}

/// Which of a session's two sockets.
enum LegIndex: UInt32 {
    case client = 0
    case upstream = 1

    static let both = [LegIndex.client, .upstream]
}

extension RequestScanner {
    /// Reads what a state has of it; `nil` if that is no scanner's.
    init?(in state: UnsafeMutablePointer<arena_state>) {
        self.init(withUnsafeBytes(of: &state.pointee.scanner) { Array($0) })
    }

    func store(in state: UnsafeMutablePointer<arena_state>) {
        let bytes = encoded
        withUnsafeMutableBytes(of: &state.pointee.scanner) { $0.copyBytes(from: bytes) }
    }
}
