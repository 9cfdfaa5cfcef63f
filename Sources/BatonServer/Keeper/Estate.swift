internal import HostMigration
internal import Libc

/// What a worker's relays leave behind: the memory that they are in, and a duplicate of each one's sockets. The keeper neither
/// maps the one nor reads the other.
final class Estate {
    struct Sockets: Codable {
        var slot: UInt32
        /// Counts the sessions of the slot.
        var generation: UInt64
        var client: CInt
        var upstream: CInt
    }

    /// How the last worker that had it ended.
    enum End: UInt8, Codable {
        /// It was killed from outside, or left before it had ended all.
        case killed = 1
        /// By a fault of its own, or because it did not answer.
        case fault = 2
        /// It lives, and has relinquished it.
        case yielded = 3
    }

    /// It is to go to another worker while its owner lives.
    struct Bequest {
        /// The process.
        let heir: UInt32
        /// Whether the heir has everything, and waits.
        var isPrepared = false
        /// Whether the owner is to give it up as soon as the heir is prepared.
        var isDue = false
    }

    /// The number that the worker and the keeper call it by; no other estate of the service has it.
    let number: UInt32
    let arena: CInt
    private var sockets: [UInt32: Sockets] = [:]
    var end = End.killed
    /// When it was relinquished, on the monotonic clock in nanoseconds.
    var yieldedAt: UInt64 = 0
    var bequest: Bequest?
    /// Whether there are sessions whose sockets could not be kept: they would be lost if it changed hands.
    private(set) var isIncomplete = false

    init(_ number: UInt32, arena: CInt) {
        self.number = number
        self.arena = arena
    }

    deinit {
        close(arena)
        for sockets in sockets.values { close(sockets) }
    }

    var isEmpty: Bool { sockets.isEmpty }

    /// In the order of their slots.
    var all: [Sockets] { sockets.values.sorted { $0.slot < $1.slot } }

    /// Keeps the sockets of a session. What was kept of an earlier one in the slot goes.
    func keep(_ kept: Sockets) {
        if let former = sockets.updateValue(kept, forKey: kept.slot) { close(former) }
    }

    func noteMissing() { isIncomplete = true }

    /// A session is over. A later one in its slot stays.
    func release(_ slot: UInt32, _ generation: UInt64) {
        guard let kept = sockets[slot], kept.generation == generation else { return }
        sockets[slot] = nil
        close(kept)
    }

    /// Nobody goes on with a session: neither side may see an end in order.
    func reset(_ slot: UInt32, _ generation: UInt64) {
        guard let kept = sockets[slot], kept.generation == generation else { return }
        sockets[slot] = nil
        SocketReset.close(kept.client)
        SocketReset.close(kept.upstream)
    }

    /// What of these sessions is kept still.
    func kept(of entries: [EstateMessage.Entry]) -> [Sockets] {
        entries.compactMap { entry in sockets[entry.slot].flatMap { $0.generation == entry.generation ? $0 : nil } }
    }

    private func close(_ sockets: Sockets) {
        close(sockets.client)
        close(sockets.upstream)
    }

    private func close(_ descriptor: CInt) { _ = Libc.close(descriptor) }

    // MARK: From program to program

    struct State: Codable {
        var number: UInt32
        var arena: CInt
        var end: End
        var sockets: [Sockets]
        var isIncomplete: Bool?

        var descriptors: [CInt] { [arena] + sockets.flatMap { [$0.client, $0.upstream] } }
    }

    var state: State {
        State(number: number, arena: arena, end: end, sockets: all, isIncomplete: isIncomplete)
    }

    init(_ state: State) {
        number = state.number
        arena = state.arena
        end = state.end
        isIncomplete = state.isIncomplete ?? false
        for kept in state.sockets { sockets[kept.slot] = kept }
    }
}
