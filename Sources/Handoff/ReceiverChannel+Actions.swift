internal import BatonCore
internal import TLSRecords

extension ReceiverChannel {
    mutating func perform(
        _ action: ReceiverTransfer.Action?, _ decide: Decision
    ) throws(HandoffError) -> ReceiverEvent? {
        guard let action, let id = incoming?.id else { return nil }
        switch action {
        case .none: return nil
        case .decide:
            return try perform(lookAtParcels(decide), decide)
        case .sendAccept(let verdicts):
            incoming?.batch.clear(verdicts.indices.filter { verdicts[$0] != .accept })
            answer(.accept, codes: verdicts.map(\.code), for: id)
            return nil
        case .sendDecline(let reasons):
            incoming?.letGo()
            answer(.decline, codes: reasons.map(\.rawValue), for: id)
            return nil
        case .resume(let accepted):
            let parcels = incoming?.take(accepted) ?? ParcelBatch()
            answer(.committed, for: id)
            return .received(Received(parcels: parcels, isAdopted: false))
        case .adopt(let accepted):
            return .received(Received(parcels: incoming?.take(accepted) ?? ParcelBatch(), isAdopted: true))
        case .discard:
            let wasDecided = incoming?.isDecided ?? false
            incoming?.letGo()
            return wasDecided ? .discarded(socket == nil ? .unproven : .cancelled) : nil
        case .seekProof:
            guard incoming?.isAttested == true, owner.descriptor >= 0 else {
                return try perform(incoming?.transfer.proofIsMissing(), decide)
            }
            deadline = .after(options.proofTime)
            return prove()
        case .refuse(let what):
            throw refuse(what)
        }
    }

    /// Asks the application about each parcel that could be read.
    private mutating func lookAtParcels(_ decide: Decision) -> ReceiverTransfer.Action? {
        switch incoming?.open(with: &unsealer, now: WallClock.milliseconds) {
        case nil: return nil
        case .unreadable(let reason): return incoming?.transfer.unreadable(reason)
        case .readable(let reasons):
            var verdicts: [Verdict] = []
            verdicts.reserveCapacity(reasons.count)
            for (index, reason) in reasons.enumerated() {
                if let reason {
                    verdicts.append(.decline(reason))
                } else if let verdict = incoming?.batch.withParcel(at: index, decide) {
                    verdicts.append(verdict)
                }
            }
            incoming?.isDecided = true
            return incoming?.transfer.decided(verdicts)
        }
    }

    /// Whether the owner is dead yet; and if so, which connections it has left alone since the offer.
    mutating func prove() -> ReceiverEvent? {
        let action: ReceiverTransfer.Action?
        if owner.hasTerminated {
            action = incoming?.proveUnchanged()
        } else if deadline?.hasPassed == true {
            action = incoming?.transfer.proofIsMissing()
        } else {
            return nil
        }
        deadline = nil
        switch action {
        case .adopt(let accepted):
            return .received(Received(parcels: incoming?.take(accepted) ?? ParcelBatch(), isAdopted: true))
        default:
            incoming?.letGo()
            return .discarded(.unproven)
        }
    }
}
