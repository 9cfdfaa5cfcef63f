/// The receiver's half of the ownership protocol, for one transfer. It does no I/O and reads no clock: events go in,
/// the action to perform comes out.
///
/// ```
///            completed            decided            committed
///  gathering ─────────▶ deciding ─────────▶ holding ───────────▶ over: resume what was accepted
///                                              │ ended      proved
///                                              └──────▶ proving ─▶ over: adopt what is proved
/// ```
/// A cancel, or a decline of everything, leads to 'discard' from everywhere; so does the end of the channel, except
/// where it leads to `proving`. There is no time limit: once it has accepted, a receiver waits for as long as the
/// owner lives, because a late commit must find somebody.
package struct ReceiverTransfer: Hashable, Sendable {
    /// What the caller does now.
    package enum Action: Hashable, Sendable {
        case none
        /// Look at each parcel, then call `decided(_:)`.
        case decide
        /// Send ACCEPT with the verdicts; drop the declined parcels.
        case sendAccept([Verdict])
        /// Send DECLINE; drop everything.
        case sendDecline([DeclineReason])
        /// This process owns the parcels at these positions now: send COMMITTED and run them.
        case resume([Int])
        /// Drop everything: close descriptors without a word on them, destroy secrets.
        case discard
        /// Find out whether the owner is dead and has written nothing since the offer for the parcels at these
        /// positions, then call `proved(_:)` or `proofIsMissing()`.
        case seekProof([Int])
        /// The owner is dead and this process owns the parcels at these positions now; drop the others.
        case adopt([Int])
        /// The owner broke the protocol: drop everything and close the channel.
        case refuse(String)
    }

    private enum State: Hashable {
        case gathering
        case deciding
        case holding([Int])
        case proving([Int])
        case over
    }

    /// How many parcels the transfer has.
    package let count: Int
    private var state = State.gathering

    package init(count: Int) {
        self.count = count
    }

    package var isOver: Bool { state == .over }

    /// All bytes and descriptors of the offer are here and could be read.
    package mutating func completed() -> Action {
        guard state == .gathering else { return .none }
        state = .deciding
        return .decide
    }

    /// The offer cannot be read, or is more than this receiver takes.
    package mutating func unreadable(_ reason: DeclineReason) -> Action {
        guard state == .gathering || state == .deciding else { return .none }
        state = .over
        return .sendDecline([reason])
    }

    /// A verdict on each parcel. `verdicts.count` is `count`.
    package mutating func decided(_ verdicts: [Verdict]) -> Action {
        guard state == .deciding else { return .none }
        let accepted = verdicts.indices.filter { verdicts[$0] == .accept }
        guard !accepted.isEmpty else {
            state = .over
            return .sendDecline(
                verdicts.map { verdict in
                    if case .decline(let reason) = verdict { reason } else { .malformed }
                })
        }
        state = .holding(accepted)
        return .sendAccept(verdicts)
    }

    /// COMMIT arrived.
    package mutating func committed() -> Action {
        switch state {
        case .holding(let accepted):
            state = .over
            return .resume(accepted)
        case .gathering, .deciding:
            state = .over
            return .refuse("a commit without an accept")
        case .proving, .over:
            return .none
        }
    }

    /// CANCEL arrived: the owner has the connections back.
    package mutating func cancelled() -> Action {
        guard state != .over else { return .none }
        state = .over
        return .discard
    }

    /// The channel ended, and everything sent before the end has been read.
    package mutating func ended() -> Action {
        switch state {
        case .holding(let accepted):
            state = .proving(accepted)
            return .seekProof(accepted)
        case .gathering, .deciding:
            state = .over
            return .discard
        case .proving, .over:
            return .none
        }
    }

    /// The owner is dead, and the sockets of the parcels at `unchanged` stand where they stood at the offer.
    package mutating func proved(unchanged: [Int]) -> Action {
        guard case .proving(let accepted) = state else { return .none }
        state = .over
        let unchanged = Set(unchanged)
        let adopted = accepted.filter(unchanged.contains)
        return adopted.isEmpty ? .discard : .adopt(adopted)
    }

    /// The owner lives, or nothing shows that it is dead.
    package mutating func proofIsMissing() -> Action {
        guard case .proving = state else { return .none }
        state = .over
        return .discard
    }
}
