internal import CSessionArena
internal import Libc

/// An arena that is about to change hands, as its next owner has it: the arena is mapped, and epoll(7) knows the sockets of
/// its sessions. What takes long is done while the owner before still works, so that no session stands still for it.
///
/// Until an `Engine` takes it, nothing is read from a socket, written or reset. Whoever does not give it to one abandons it.
package struct ArenaPreparation: ~Copyable {
    let arena: Arena
    let epoll: CInt
    let wake: CInt?
    private(set) var sockets: [SlotName: (client: CInt, upstream: CInt)] = [:]

    /// - Parameter wake: an eventfd(2) at which `Engine.step` returns. It is not read.
    package init(_ arena: consuming Arena, wakeable wake: CInt? = nil) throws(ArenaError) {
        epoll = epoll_create1(Int32(O_CLOEXEC))
        guard epoll >= 0 else { throw .noMemory(errno) }
        if let wake {
            var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: .max))
            epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event)
        }
        self.arena = arena
        self.wake = wake
    }

    /// Who has the arena; 0: nobody.
    package var owner: UInt64 { arena_owner(arena.header) }

    /// A session has these sockets, which are the preparation's from here on.
    package mutating func add(_ name: SlotName, client: CInt, upstream: CInt) {
        for (leg, descriptor) in [(LegIndex.client, client), (.upstream, upstream)] {
            Leg.watch(descriptor, leg, at: name.slot, for: Leg.firstInterest, EPOLL_CTL_ADD, in: epoll)
        }
        // So that its page is mapped when the sessions wait.
        if 0..<arena.slotCount ~= name.slot { _ = arena_phase(arena.slot(name.slot)) }
        if let former = sockets.updateValue((client, upstream), forKey: name) { drop(name, former) }
    }

    /// A session is over: its sockets are closed here.
    package mutating func remove(_ name: SlotName) {
        if let former = sockets.removeValue(forKey: name) { drop(name, former) }
    }

    private func drop(_ name: SlotName, _ pair: (client: CInt, upstream: CInt)) {
        ArenaPreparation.close(name.slot, pair, epoll, resetting: false)
    }

    /// Closes all sockets. The sessions are another owner's.
    package consuming func abandon() {
        for (name, pair) in sockets { drop(name, pair) }
        _ = Libc.close(epoll)
    }

    /// Closes sockets that others may hold longer.
    static func close(_ slot: Int, _ pair: (client: CInt, upstream: CInt), _ epoll: CInt, resetting: Bool) {
        for (leg, descriptor) in [(LegIndex.client, pair.client), (.upstream, pair.upstream)] {
            Leg.watch(descriptor, leg, at: slot, for: 0, EPOLL_CTL_DEL, in: epoll)
            if resetting { stream_reset(descriptor) }
            _ = Libc.close(descriptor)
        }
    }
}
