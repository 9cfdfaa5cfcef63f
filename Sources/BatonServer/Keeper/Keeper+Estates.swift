internal import BatonCore
internal import Libc

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
        let estate = children[process]?.estates[word.number]
        switch word.kind {
        case .arena:
            children[process]?.estates[word.number] = Estate(word.number, arena: message.descriptors[0])
        case .keep: keep(word, message.descriptors, in: estate)
        case .release: release(word, message.bytes, of: estate)
        case .lost: for entry in word.entries { estate?.reset(entry.slot, entry.generation) }
        case .prepared: prepared(word, by: process)
        case .yielded: yielded(word, by: process)
        case .begin, .prepare, .withdraw, .yield: break
        }
    }

    /// Sessions are over: also for whoever is to have the estate.
    func release(_ word: EstateMessage, _ bytes: [UInt8], of estate: Estate?) {
        for entry in word.entries { estate?.release(entry.slot, entry.generation) }
        if let estate, let bequest = estate.bequest { children[bequest.heir]?.channel?.send(bytes: bytes) }
    }

    func keep(_ word: EstateMessage, _ descriptors: [CInt], in estate: Estate?) {
        var estate = estate
        // The last are for a front, which the keeper must be able to start.
        if let highest = descriptors.max(), highest >= DescriptorLimit.reserve.highest {
            estate?.noteMissing()
            estate = nil
            noteShortage()
        }
        guard let estate else {
            for descriptor in descriptors { close(descriptor) }
            return
        }
        for (index, entry) in word.entries.enumerated() {
            estate.keep(
                .init(
                    slot: entry.slot, generation: entry.generation, client: descriptors[2 * index],
                    upstream: descriptors[2 * index + 1]))
        }
        if let bequest = estate.bequest {
            children[bequest.heir]?.channel.map { send(word.entries, of: estate, to: $0) }
        }
    }

    /// A worker has ended, and all that it said has been heard.
    func inherit(from child: Child, _ ending: ProcessEnding) {
        // Who ends in order has ended its relays, or given them away, and said so.
        for estate in child.estates.values {
            let isFault = child.isCondemned || ending.isFault
            leave(estate, isFault ? .fault : .killed)
        }
        withdrawBequests(to: child.process)
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
        guard let process = heir ?? heirs(of: service).max(), let channel = children[process]?.channel else {
            heirsDueAt = MonotonicTime.now + Self.patienceWithHeirs
            return
        }
        for estate in estates {
            describe(estate, to: channel)
            begin(estate, at: process)
        }
        estates = []
    }

    /// Sends all that there is of an estate.
    func describe(_ estate: Estate, to channel: KeeperChannel) {
        channel.send(late: { (EstateMessage(.arena, estate.number).encoded, [estate.arena]) })
        let all = estate.all
        for first in stride(from: 0, to: all.count, by: EstateMessage.maxSessions) {
            let some = all[first..<min(first + EstateMessage.maxSessions, all.count)]
            send(some.map { .init(slot: $0.slot, generation: $0.generation) }, of: estate, to: channel)
        }
    }

    /// Sends the sockets of sessions. One that ends before there is room for the message is left out: its descriptors may be
    /// others' by then.
    private func send(_ entries: [EstateMessage.Entry], of estate: Estate, to channel: KeeperChannel) {
        channel.send {
            let kept = estate.kept(of: entries)
            guard !kept.isEmpty else { return nil }
            return (
                EstateMessage(.keep, estate.number, kept.map { .init(slot: $0.slot, generation: $0.generation) })
                    .encoded,
                kept.flatMap { [$0.client, $0.upstream] }
            )
        }
    }

    /// The workers of a program that can have an estate, in the order of their start.
    func heirs(of line: ServerLine) -> [UInt32] {
        children.values.filter { child in
            guard case .worker = child.role else { return false }
            return child.line === line && child.channel != nil && !child.isCondemned
        }.map(\.process).sorted()
    }

    /// A worker that has been sent all of an estate is its owner from here on. Another service has its own duplicates of the
    /// sockets: nothing is kept here that anybody could begin with again.
    func begin(_ estate: Estate, at process: UInt32) {
        estate.bequest = nil
        if children[process]?.isElsewhere == false { children[process]?.estates[estate.number] = estate }
        children[process]?.channel?.send(
            bytes: EstateMessage(
                .begin, estate.number, [.init(slot: UInt32(estate.end.rawValue), generation: estate.yieldedAt)]
            ).encoded)
    }
}

extension ProcessEnding {
    /// Whether the process has ended by what it did itself: a trap, or a fault signal.
    fileprivate var isFault: Bool {
        if case .killed(let signal) = self { signal != SIGKILL && !Signals.stops(signal) } else { false }
    }
}
