import Handoff

/// A small world in which every interleaving of the ownership protocol is tried: one owner that offers its parcels to
/// one receiver after another, over channels of its own to each, with the very state machines the channels use.
///
/// What may happen at any moment: a process takes a step, the owner's time limit passes, a process dies, a message is
/// lost, doubled or overtaken (as often as the budget allows), a cancel cannot be sent.
struct ProtocolModel: Hashable {
    enum Message: Hashable {
        case piece(isLast: Bool)
        case accept([Verdict])
        case decline([DeclineReason])
        case commit, committed, cancel, end
    }

    /// One receiver and the channel to it.
    struct Party: Hashable {
        var transfer: ReceiverTransfer
        var isAlive = true
        var hasOpenedSeal = false
        var isProving = false
        var may: [Bool]
        var inbox: [Message] = []
        var answers: [Message] = []
        /// What each socket had taken at the offer to this receiver.
        var offeredAt: [Int]
    }

    struct Budget: Hashable {
        var deaths = 0
        var losses = 0
        var doubles = 0
        var overtakings = 0
        var refusedCancels = 0
    }

    let parcels: Int
    var owner: OwnerTransfer
    var ownerIsAlive = true
    var ownerMay: [Bool]
    var attempt = 0
    var piecesSent = 0
    var parties: [Party]
    var budget: Budget
    /// What each socket has taken.
    var position: [Int]
    var hasLost = false
    var hasCrashed = false
    var isInDoubt = false
    /// The parcels of the current attempt, by their number in the world.
    var offered: [Int]
    /// A rule that was broken.
    var violation: String?

    init(parcels: Int, receivers: Int, budget: Budget) {
        self.parcels = parcels
        self.budget = budget
        owner = OwnerTransfer(count: parcels)
        ownerMay = Array(repeating: false, count: parcels)
        position = Array(repeating: 0, count: parcels)
        offered = Array(0..<parcels)
        parties = Array(
            repeating: Party(
                transfer: ReceiverTransfer(count: parcels), may: Array(repeating: false, count: parcels),
                offeredAt: Array(repeating: 0, count: parcels)),
            count: receivers)
    }

    /// Who may encrypt `parcel` now.
    func holders(of parcel: Int) -> Int {
        (ownerMay[parcel] ? 1 : 0) + parties.count { $0.may[parcel] }
    }
}

// MARK: what can happen next

extension ProtocolModel {
    /// Every world that can follow this one.
    func successors() -> [ProtocolModel] {
        var next: [ProtocolModel] = []
        func branch(_ change: (inout ProtocolModel) -> Void) {
            var world = self
            change(&world)
            next.append(world)
        }
        if ownerIsAlive {
            if !owner.isOver {
                if piecesSent < 2 { branch { $0.sendPiece() } }
                branch { $0.act($0.owner.timeLimitReached()) }
                if budget.refusedCancels > 0 {
                    branch {
                        $0.budget.refusedCancels -= 1
                        if $0.owner.timeLimitReached() == .sendCancel { $0.act($0.owner.cancelRefused()) }
                    }
                }
            }
            if !parties[attempt].answers.isEmpty { branch { $0.ownerReads() } }
            for parcel in 0..<parcels where ownerMay[parcel] && position[parcel] < 2 {
                branch { $0.position[parcel] += 1 }
            }
            if owner.isOver, attempt + 1 < parties.count, ownerMay.contains(true) { branch { $0.offerToNext() } }
            if budget.deaths > 0 { branch { $0.ownerDies() } }
        }
        for index in parties.indices { addReceiverSteps(index, branch) }
        return next
    }

    private func addReceiverSteps(_ index: Int, _ branch: ((inout ProtocolModel) -> Void) -> Void) {
        let party = parties[index]
        if party.isAlive {
            if party.isProving {
                branch { $0.prove(index, isPatient: true) }
                branch { $0.prove(index, isPatient: false) }
            } else if let message = party.inbox.first {
                if message == .piece(isLast: true) {
                    for verdicts in verdictChoices { branch { $0.receiverReads(index, verdicts) } }
                } else {
                    branch { $0.receiverReads(index, []) }
                }
            }
            for parcel in 0..<parcels where party.may[parcel] && position[parcel] < 2 {
                branch { $0.position[parcel] += 1 }
            }
            if budget.deaths > 0 {
                branch {
                    $0.budget.deaths -= 1
                    $0.hasCrashed = true
                    $0.parties[index].isAlive = false
                    $0.parties[index].may = $0.parties[index].may.map { _ in false }
                    $0.parties[index].inbox = []
                    $0.parties[index].answers.append(.end)
                }
            }
        }
        addFaults(\.parties[index].inbox, branch)
        addFaults(\.parties[index].answers, branch)
    }

    private func addFaults(
        _ queue: WritableKeyPath<ProtocolModel, [Message]>, _ branch: ((inout ProtocolModel) -> Void) -> Void
    ) {
        let messages = self[keyPath: queue]
        for index in messages.indices where messages[index] != .end {
            if budget.losses > 0 {
                branch {
                    $0.budget.losses -= 1
                    $0.hasLost = true
                    $0[keyPath: queue].remove(at: index)
                }
            }
            if budget.doubles > 0 {
                branch {
                    $0.budget.doubles -= 1
                    $0[keyPath: queue].insert(
                        messages[index], at: messages.last == .end ? messages.count - 1 : messages.count)
                }
            }
            if budget.overtakings > 0, index > 0 {
                branch {
                    $0.budget.overtakings -= 1
                    $0[keyPath: queue].swapAt(index - 1, index)
                }
            }
        }
    }

    private var verdictChoices: [[Verdict]] {
        let all = Array(repeating: Verdict.accept, count: offered.count)
        let none = Array(repeating: Verdict.decline(.noRoom), count: offered.count)
        return offered.count > 1
            ? [all, none, [.accept, .decline(.noRoom)], [.decline(.noRoom), .accept]] : [all, none]
    }
}

// MARK: the owner

extension ProtocolModel {
    private mutating func sendPiece() {
        piecesSent += 1
        guard parties[attempt].isAlive else { return act(owner.channelEnded()) }
        parties[attempt].inbox.append(.piece(isLast: piecesSent == 2))
        if piecesSent == 2 { act(owner.offerLeft()) }
    }

    private mutating func ownerReads() {
        let message = parties[attempt].answers.removeFirst()
        switch message {
        case .accept(let verdicts): act(owner.answered(verdicts))
        case .decline(let reasons): act(owner.declined(reasons))
        case .end: act(owner.channelEnded())
        case .committed: break
        case .piece, .commit, .cancel: violation = "the owner read its own message"
        }
    }

    private mutating func act(_ action: OwnerTransfer.Action) {
        switch action {
        case .none: break
        case .sendCommit:
            guard parties[attempt].isAlive else { return act(owner.channelEnded()) }
            parties[attempt].inbox.append(.commit)
            act(owner.commitLeft())
        case .sendCancel, .refuse:
            guard parties[attempt].isAlive else { return act(owner.channelEnded()) }
            parties[attempt].inbox.append(.cancel)
            act(owner.cancelLeft())
        case .settle(let settlement):
            for (place, parcel) in offered.enumerated() {
                ownerMay[parcel] = settlement.fates[place].isReturned
                if settlement.fates[place] == .closed { isInDoubt = true }
            }
            if settlement.endsChannel { parties[attempt].inbox.append(.end) }
        }
    }

    /// What came back is suspended again and offered to the next receiver.
    private mutating func offerToNext() {
        offered = (0..<parcels).filter { ownerMay[$0] }
        attempt += 1
        owner = OwnerTransfer(count: offered.count)
        parties[attempt].transfer = ReceiverTransfer(count: offered.count)
        piecesSent = 0
        parties[attempt].offeredAt = position
        ownerMay = ownerMay.map { _ in false }
    }

    private mutating func ownerDies() {
        budget.deaths -= 1
        hasCrashed = true
        ownerIsAlive = false
        ownerMay = ownerMay.map { _ in false }
        for index in parties.indices where parties[index].isAlive { parties[index].inbox.append(.end) }
    }
}

// MARK: a receiver

extension ProtocolModel {
    private mutating func receiverReads(_ index: Int, _ verdicts: [Verdict]) {
        switch parties[index].inbox.removeFirst() {
        case .piece(let isLast):
            guard isLast, !parties[index].transfer.isOver else { return }
            // A seal opens once.
            guard !parties[index].hasOpenedSeal else { return }
            parties[index].hasOpenedSeal = true
            receive(index, parties[index].transfer.completed(), verdicts)
        case .commit: receive(index, parties[index].transfer.committed())
        case .cancel: receive(index, parties[index].transfer.cancelled())
        case .end: receive(index, parties[index].transfer.ended())
        case .accept, .decline, .committed: violation = "a receiver read its own message"
        }
    }

    private mutating func prove(_ index: Int, isPatient: Bool) {
        parties[index].isProving = false
        guard !ownerIsAlive, isPatient else { return receive(index, parties[index].transfer.proofIsMissing()) }
        let unchanged = places(of: index).enumerated().filter {
            position[$0.element] == parties[index].offeredAt[$0.element]
        }
        receive(index, parties[index].transfer.proved(unchanged: unchanged.map(\.offset)))
    }

    private func places(of index: Int) -> [Int] {
        index == attempt ? offered : Array(0..<parcels)
    }

    private mutating func receive(_ index: Int, _ action: ReceiverTransfer.Action, _ verdicts: [Verdict] = []) {
        switch action {
        case .none, .discard: break
        case .decide: receive(index, parties[index].transfer.decided(verdicts))
        case .sendAccept(let verdicts): if ownerIsAlive { parties[index].answers.append(.accept(verdicts)) }
        case .sendDecline(let reasons): if ownerIsAlive { parties[index].answers.append(.decline(reasons)) }
        case .resume(let accepted):
            becomeOwner(index, accepted)
            if ownerIsAlive { parties[index].answers.append(.committed) }
        case .adopt(let accepted): becomeOwner(index, accepted)
        case .seekProof: parties[index].isProving = true
        case .refuse: break
        }
    }

    private mutating func becomeOwner(_ index: Int, _ accepted: [Int]) {
        for place in accepted {
            let parcel = places(of: index)[place]
            if position[parcel] != parties[index].offeredAt[parcel] {
                violation = "a receiver resumed a connection that had been written to since its offer"
            }
            parties[index].may[parcel] = true
        }
    }
}
