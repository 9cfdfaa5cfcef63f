internal import CSessionArena
internal import Libc

/// What a leg on a Unix stream socket needs to read and write each byte once, across owners.
///
/// The kernel tells no positions of such a socket. Instead, it counts down `SO_PEEK_OFF` by what is read, and stores what
/// sendmmsg(2) has taken in the arena, from where it goes to the slot before anything else is sent.
struct UnixStream {
    /// The leg, as the arena's header names it.
    private let name: UInt32
    private let leg: UInt32
    /// Where the kernel's count was raised last.
    private var raisedAt: UInt64

    /// The kernel's count has 31 bits.
    private static let raiseEvery: UInt64 = 1 << 26

    /// - Parameter received: what has been read, from where the kernel counts on.
    init(_ descriptor: CInt, slot: Int, _ leg: LegIndex, received: UInt64) {
        self.leg = leg.rawValue
        name = UInt32(2 * slot) + leg.rawValue + 1
        raisedAt = received
        unix_stream_count(descriptor, received)
    }

    /// Has the kernel count from higher up, if it is time.
    @inline(__always)
    mutating func noteRead(_ descriptor: CInt, received: UInt64) {
        guard received &- raisedAt >= UnixStream.raiseEvery else { return }
        raisedAt = received
        unix_stream_count(descriptor, received)
        Step.pass()
    }

    /// Gives the kernel output.
    ///
    /// - Parameter position: of the first byte, up to which the slot says that the kernel has taken all.
    /// - Returns: how many bytes it took, or a negative errno value. After EFAULT nobody can say whether it took any.
    func send(
        _ bytes: UnsafeRawBufferPointer, at position: UInt64, to descriptor: CInt,
        _ slot: UnsafeMutablePointer<arena_slot>, _ header: UnsafeMutablePointer<arena_header>
    ) -> Int {
        Step.pass()
        arena_sending_begin(header, name, UInt32(bytes.count), position)
        Step.pass()
        let count = unix_stream_send(descriptor, header, bytes.baseAddress!)
        Step.pass()
        if count > 0 { arena_set_taken(slot, leg, position + UInt64(count)) }
        Step.pass()
        arena_sending_end(header)
        return Int(count)
    }

    /// Notes in its slot what came of the send at which the owner before has died. What it says may be anything.
    static func settle(_ arena: borrowing Arena) {
        let sending = arena.header.pointee.sending
        defer { arena_sending_end(arena.header) }
        guard sending.leg > 0, sending.sent > 0, sending.sent <= sending.asked else { return }
        let (index, leg) = (Int(sending.leg - 1) / 2, (sending.leg - 1) % 2)
        guard index < arena.slotCount else { return }
        let slot = arena.slot(index)
        // The owner may have died behind its own note.
        guard arena_phase(slot) == ARENA_LIVE, isUnix(slot, leg), arena_taken(slot, leg) == sending.position else {
            return
        }
        Step.pass()
        arena_set_taken(slot, leg, sending.position &+ UInt64(sending.sent))
        Step.pass()
    }

    /// Has the kernel count no more: the socket goes elsewhere.
    static func release(_ descriptor: CInt) { unix_stream_release(descriptor) }

    // MARK: Slots

    static func isUnix(_ slot: UnsafeMutablePointer<arena_slot>, _ leg: UInt32) -> Bool {
        slot.pointee.unix_legs & (1 << leg) != 0
    }

    static func mark(_ slot: UnsafeMutablePointer<arena_slot>, _ leg: LegIndex) {
        slot.pointee.unix_legs |= 1 << leg.rawValue
    }

    /// Whether this is a Unix stream socket whose reads the kernel can count.
    static func canCarry(_ descriptor: CInt) -> Bool { unix_stream_check(descriptor) == 0 }

    /// How far read(2) has come, which is not before `consumed`.
    static func received(_ descriptor: CInt, atLeast consumed: UInt64) throws(AdoptionError) -> UInt64 {
        let other = unix_stream_check(descriptor)
        guard other == 0 else { throw .noPosition(-other) }
        var position: UInt64 = 0
        let failed = unix_stream_position(descriptor, consumed, &position)
        guard failed == 0 else { throw .noPosition(-failed) }
        return position
    }
}

extension Session {
    /// Has the kernel count for the legs of which the slot says that they are on Unix sockets.
    mutating func findUnixLegs(_ slot: UnsafeMutablePointer<arena_slot>) {
        if UnixStream.isUnix(slot, LegIndex.client.rawValue) { client.becomeUnix(at: self.slot) }
        if UnixStream.isUnix(slot, LegIndex.upstream.rawValue) { upstream.becomeUnix(at: self.slot) }
    }
}
