internal import CSessionArena
internal import Glibc
internal import TLSRecords

/// A session of an engine: its place in the arena and its two sockets.
struct Session: ~Copyable {
    let slot: Int
    var client: Leg
    var upstream: Leg
    /// Extents were lacking: until some come back nothing more is read.
    var isStarved = false

    init(slot: Int, client: consuming Leg, upstream: consuming Leg) {
        self.slot = slot
        self.client = client
        self.upstream = upstream
    }

    /// Whether both sides have ended and been told so.
    private var isOver: Bool { client.isDone && upstream.isDone }

    /// Has epoll(7) report what the session can go on with.
    mutating func watch(_ turn: borrowing Turn, in epoll: CInt) {
        client.watch(for: turn.interest(client, isStarved: isStarved), at: slot, in: epoll)
        upstream.watch(for: turn.interest(upstream, isStarved: isStarved), at: slot, in: epoll)
    }

    /// Has epoll(7) forget the sockets, which others may hold longer.
    mutating func unwatch(in epoll: CInt) {
        client.watch(for: 0, at: slot, in: epoll)
        upstream.watch(for: 0, at: slot, in: epoll)
    }

    /// Resets both sockets.
    mutating func reset() {
        client.reset()
        upstream.reset()
    }

    /// Does what the sockets are ready for, as far as it goes.
    ///
    /// - Returns: whether the session is over.
    mutating func work(
        _ turn: borrowing Turn, readable: LegIndex?, arena: borrowing Arena, pool: inout ExtentPool
    ) throws(SessionEnd) -> Bool {
        switch readable {
        case .client: try turn.read(&client, arena: arena, pool: &pool)
        case .upstream: try turn.read(&upstream, arena: arena, pool: &pool)
        case nil: break
        }
        // What one side's writing makes room for, the other side's input may wait for.
        var before: UInt64
        repeat {
            before = progress
            try turn.relay(&client, &upstream, arena: arena, pool: &pool)
            try turn.write(&upstream, arena: arena, pool: &pool)
            try turn.relay(&upstream, &client, arena: arena, pool: &pool)
            try turn.write(&client, arena: arena, pool: &pool)
        } while progress != before
        turn.giveBackEmpty(client, upstream, arena: arena, pool: &pool)
        return isOver
    }

    private var progress: UInt64 { client.written &+ upstream.written }
}
