internal import BatonCore
internal import Glibc

/// What outlives a worker: its relays, which another goes on with.
extension Keeper {
    /// How long a new worker is waited for, before another that is there gets what one has left, nanoseconds.
    private static let patienceWithHeirs: UInt64 = 2_000_000_000

    /// A worker says what is to outlive it.
    func hear(_ message: KeeperChannel.Message, of process: UInt32) {
        guard let word = EstateMessage(message.bytes, descriptors: message.descriptors.count),
            children[process] != nil
        else {
            for descriptor in message.descriptors { close(descriptor) }
            return
        }
        switch word.kind {
        case .arena:
            children[process]?.estates[word.number] = Estate(word.number, arena: message.descriptors[0])
        case .keep:
            var estate = children[process]?.estates[word.number]
            // The last are for a front, which the keeper must be able to start.
            if let highest = message.descriptors.max(), highest >= DescriptorLimit.reserve.highest {
                estate = nil
                noteShortage()
            }
            for (index, entry) in word.entries.enumerated() {
                let (client, upstream) = (message.descriptors[2 * index], message.descriptors[2 * index + 1])
                guard let estate else {
                    close(client)
                    close(upstream)
                    continue
                }
                estate.keep(
                    .init(slot: entry.slot, generation: entry.generation, client: client, upstream: upstream))
            }
        case .release:
            let estate = children[process]?.estates[word.number]
            for entry in word.entries { estate?.release(entry.slot, entry.generation) }
        case .begin: break
        }
    }

    /// A worker has ended, and all that it said has been heard.
    func inherit(from child: Child, _ ending: ProcessEnding) {
        // Who ends in order has ended its relays, or given them away, and said so.
        for estate in child.estates.values where !estate.isEmpty {
            estate.end = child.isCondemned || ending.isFault ? .fault : .killed
            estates.append(estate)
        }
        guard !estates.isEmpty else { return }
        heirsDueAt = heirsDueAt ?? MonotonicTime.now + Self.patienceWithHeirs
        // One of a program that has been replaced is not started again.
        if child.line !== service { giveEstates() }
    }

    /// Gives what dead workers have left to one that lives.
    ///
    /// - Parameter heir: a new worker; `nil`: the youngest that there is.
    func giveEstates(to heir: UInt32? = nil) {
        heirsDueAt = nil
        guard !estates.isEmpty else { return }
        let workers = children.values.filter { child in
            guard case .worker = child.role else { return false }
            return child.line === service && child.channel != nil && !child.isCondemned
        }
        guard let process = heir ?? workers.map(\.process).max(), let channel = children[process]?.channel else {
            heirsDueAt = MonotonicTime.now + Self.patienceWithHeirs
            return
        }
        for estate in estates {
            channel.send(bytes: EstateMessage(.arena, estate.number).encoded, lending: [estate.arena])
            let all = estate.all
            for first in stride(from: 0, to: all.count, by: EstateMessage.mostSessions) {
                let some = all[first..<min(first + EstateMessage.mostSessions, all.count)]
                channel.send(
                    bytes: EstateMessage(
                        .keep, estate.number, some.map { .init(slot: $0.slot, generation: $0.generation) }
                    ).encoded, lending: some.flatMap { [$0.client, $0.upstream] })
            }
            channel.send(
                bytes: EstateMessage(
                    .begin, estate.number, [.init(slot: UInt32(estate.end.rawValue), generation: 0)]
                ).encoded)
            children[process]?.estates[estate.number] = estate
        }
        estates = []
    }
}

extension ProcessEnding {
    /// Whether the process has ended by what it did itself: a trap, or a fault signal.
    fileprivate var isFault: Bool {
        if case .killed(let signal) = self { signal != SIGKILL && !Signals.stops(signal) } else { false }
    }
}
