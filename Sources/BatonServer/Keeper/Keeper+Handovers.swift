internal import BatonCore

/// An upgrade hands memory over: a new worker maps what an old one has and waits for it, the old one relinquishes it between two
/// events, and the new one goes on. All of its relays stand still for that long and no longer.
///
/// The order is: `arena`, `keep` and `prepare` to the new worker, and its `prepared`; `yield` to the old one, and its `yielded`,
/// or its end; `begin` to the new one. What an old worker says of sessions in the meantime is passed on.
extension Keeper {
    /// What a front waits for.
    struct Handover {
        let turn: UInt32
        let front: KeptFront
        let workers: [UInt32]
        /// Whether the estates are to be gone, and not only prepared.
        let isDue: Bool
        /// When the front is answered anyhow, on the monotonic clock in nanoseconds.
        let dueAt: UInt64
    }

    /// How long a front waits. What has not come about by then goes connection by connection.
    private static let patienceWithHandovers: UInt64 = 10_000_000_000

    func prepare(_ workers: [UInt32], _ turn: UInt32, for front: KeptFront) {
        if let guest, guest.owner === front {
            bequeath(workers, of: front, to: [guest.process])
        } else if let line = fronts.first(where: { $0.role == .successor && !$0.isDoomed })?.line {
            bequeath(workers, of: front, to: heirs(of: line))
        }
        wait(turn, front, workers, isDue: false)
    }

    func handOver(_ workers: [UInt32], _ turn: UInt32, for front: KeptFront) {
        if let guest, guest.owner === front {
            // It has told the front, and may not have told this process yet.
            children[guest.process]?.hasServed = true
            bequeath(workers, of: front, to: [guest.process])
        } else if front !== serving {
            // The front that replaces this one serves already.
            bequeath(workers, of: front, to: heirs(of: service))
        }
        for estate in estates(of: workers, owner: front) where estate.bequest != nil {
            estate.bequest?.isDue = true
            yield(estate)
        }
        wait(turn, front, workers, isDue: true)
    }

    private func wait(_ turn: UInt32, _ front: KeptFront, _ workers: [UInt32], isDue: Bool) {
        handovers.append(
            Handover(
                turn: turn, front: front, workers: workers, isDue: isDue,
                dueAt: MonotonicTime.now + Self.patienceWithHandovers))
        answerHandovers()
    }

    /// Answers the fronts whose handovers have come about, or take too long.
    func answerHandovers() {
        guard !handovers.isEmpty else { return }
        let now = MonotonicTime.now
        handovers.removeAll { handover in
            let bequests = estates(of: handover.workers, owner: handover.front).compactMap(\.bequest)
            let isOver = bequests.allSatisfy { !handover.isDue && $0.isPrepared }
            guard isOver || now >= handover.dueAt else { return false }
            handover.front.channel.send(KeeperEvent.done(turn: handover.turn))
            return true
        }
    }

    private func estates(of workers: [UInt32], owner front: KeptFront) -> [Estate] {
        workers.compactMap { children[$0] }.filter { $0.owner === front }.flatMap(\.estates.values)
    }

    /// Chooses who is to have what these workers have, and sends it there.
    private func bequeath(_ workers: [UInt32], of front: KeptFront, to heirs: [UInt32]) {
        guard !heirs.isEmpty else { return }
        for (index, worker) in workers.sorted().enumerated() {
            let heir = heirs[index % heirs.count]
            for estate in estates(of: [worker], owner: front) where estate.bequest == nil && !estate.isIncomplete {
                bequeath(estate, to: heir)
            }
        }
    }

    /// Sends an estate to who is to have it.
    func bequeath(_ estate: Estate, to heir: UInt32) {
        guard let channel = children[heir]?.channel else { return }
        estate.bequest = Estate.Bequest(heir: heir)
        describe(estate, to: channel)
        channel.send(bytes: EstateMessage(.prepare, estate.number).encoded)
    }

    func yield(_ estate: Estate) {
        guard let bequest = estate.bequest, bequest.isDue, bequest.isPrepared else { return }
        if estate.isIncomplete { return withdraw(estate) }
        owner(of: estate)?.channel?.send(bytes: EstateMessage(.yield, estate.number).encoded)
    }

    private func owner(of estate: Estate) -> Child? {
        children.values.first { $0.estates[estate.number] === estate }
    }

    func withdraw(_ estate: Estate) {
        guard let bequest = estate.bequest else { return }
        estate.bequest = nil
        children[bequest.heir]?.channel?.send(bytes: EstateMessage(.withdraw, estate.number).encoded)
    }

    // MARK: What workers say

    /// A worker has everything of an estate that it is to have, or cannot.
    func prepared(_ word: EstateMessage, by process: UInt32) {
        if prepared(inHeritage: word, by: process) { return }
        let all = children.values.flatMap(\.estates.values)
        guard let estate = all.first(where: { $0.number == word.number && $0.bequest?.heir == process }) else { return }
        if word.entries.first?.slot == 1 {
            estate.bequest?.isPrepared = true
            yield(estate)
        } else {
            withdraw(estate)
        }
        answerHandovers()
    }

    /// A worker has relinquished an estate.
    func yielded(_ word: EstateMessage, by process: UInt32) {
        try? FaultPoint.reach("yielded")
        guard let estate = children[process]?.estates.removeValue(forKey: word.number) else { return }
        estate.yieldedAt = word.entries.first?.generation ?? 0
        leave(estate, .yielded)
        answerHandovers()
        if !estates.isEmpty { giveEstates() }
    }

    /// An estate has no owner: its heir begins, or it waits for one.
    func leave(_ estate: Estate, _ end: Estate.End) {
        estate.end = end
        // Another service has it when that accepts, and not before.
        if let bequest = estate.bequest, bequest.isPrepared, let heir = children[bequest.heir],
            let channel = heir.channel, !channel.isBroken,
            heir.isElsewhere ? bequest.isDue : heir.line === service
        {
            return begin(estate, at: bequest.heir)
        }
        withdraw(estate)
        if !estate.isEmpty { estates.append(estate) }
    }

    /// A worker has ended that was to have something.
    func withdrawBequests(to process: UInt32) {
        let arriving = heritage.map { Array($0.estates.values) } ?? []
        for estate in children.values.flatMap(\.estates.values) + arriving where estate.bequest?.heir == process {
            estate.bequest = nil
        }
        answerHandovers()
    }
}
