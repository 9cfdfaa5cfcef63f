/// The owner's half of the ownership protocol, for one transfer of one or more parcels. It does no I/O and reads no
/// clock: events go in, the action to perform comes out.
///
/// ```
///            offerLeft            accepted              commitLeft
///  offering ───────────▶ offered ──────────▶ committing ───────────▶ over: forget what was accepted
///      │                    │  declined           │
///      │                    └─────────────────────┼─────────────────▶ over: take everything back
///      └───────── timeLimitReached ───────────────┘
///                        ▼          cancelLeft
///                   cancelling ─────────────────────────────────────▶ over: take everything back
/// ```
/// The end of the channel leads from everywhere to 'take everything back', except once the commit has left.
///
/// Two rules hold in every state. Once `commitLeft` has happened nothing ever comes back. Once a cancel was asked for,
/// no commit is.
package struct OwnerTransfer: Hashable, Sendable {
    /// What the caller does now.
    package enum Action: Hashable, Sendable {
        case none
        /// Send COMMIT, then call `commitLeft()`.
        case sendCommit
        /// Send CANCEL, then call `cancelLeft()`, or `cancelRefused()` if it could not be sent.
        case sendCancel
        /// The transfer is over; each parcel has met its fate.
        case settle(Settlement)
        /// The receiver broke the protocol: as `sendCancel`, and the channel serves no more.
        case refuse(String)
    }

    private enum State: Hashable {
        case offering
        case offered
        case committing([Verdict])
        case cancelling(offerWasComplete: Bool)
        case over
    }

    /// How many parcels the transfer has; at least 1.
    package let count: Int
    private var state = State.offering

    package init(count: Int) {
        self.count = count
    }

    package var isOver: Bool { state == .over }

    /// The last byte of the offer was sent.
    package mutating func offerLeft() -> Action {
        if state == .offering { state = .offered }
        return .none
    }

    /// ACCEPT arrived, with a verdict on each parcel.
    package mutating func answered(_ verdicts: [Verdict]) -> Action {
        switch state {
        case .offered:
            guard verdicts.count == count else { return refuse("an answer to \(verdicts.count) of \(count) parcels") }
            guard verdicts.contains(.accept) else { return settle(declined: verdicts) }
            state = .committing(verdicts)
            return .sendCommit
        case .offering:
            return refuse("an accept before the offer was complete")
        case .committing, .cancelling, .over:
            // Too late, or a second time: what was decided stands.
            return .none
        }
    }

    /// DECLINE arrived: the receiver takes none, with one reason for all or one for each.
    package mutating func declined(_ reasons: [DeclineReason]) -> Action {
        switch state {
        case .offering, .offered:
            guard reasons.count == count || reasons.count == 1 else {
                return refuse("\(reasons.count) reasons for declining \(count) parcels")
            }
            let each = reasons.count == count ? reasons : Array(repeating: reasons[0], count: count)
            return settle(declined: each.map(Verdict.decline))
        case .committing, .cancelling, .over:
            return .none
        }
    }

    /// COMMIT was handed to the kernel. From here on the receiver is the owner.
    package mutating func commitLeft() -> Action {
        guard case .committing(let verdicts) = state else { return .none }
        state = .over
        return .settle(
            Settlement(
                ending: .committed,
                fates: verdicts.map { verdict in
                    switch verdict {
                    case .accept: .handedOver
                    case .decline(let reason): .declined(reason)
                    }
                }))
    }

    /// The owner's patience is over, or it wants the parcels back.
    package mutating func timeLimitReached() -> Action {
        switch state {
        case .offering: state = .cancelling(offerWasComplete: false)
        case .offered, .committing: state = .cancelling(offerWasComplete: true)
        case .cancelling, .over: return .none
        }
        return .sendCancel
    }

    /// CANCEL was handed to the kernel: the receiver reads it before it reads the end of the channel.
    package mutating func cancelLeft() -> Action {
        guard case .cancelling = state else { return .none }
        return takeBack(.cancelled)
    }

    /// CANCEL could not be sent although the channel stands.
    ///
    /// A receiver that has the whole offer might then adopt it when this process dies, even after the connection went
    /// elsewhere; so the parcels are closed. One that has part of an offer holds nothing.
    package mutating func cancelRefused() -> Action {
        guard case .cancelling(let offerWasComplete) = state else { return .none }
        guard offerWasComplete else { return takeBack(.cancelled, endsChannel: true) }
        state = .over
        return .settle(
            Settlement(ending: .inDoubt, fates: Array(repeating: .closed, count: count), endsChannel: true))
    }

    /// The channel has ended. The receiver discards what it holds when it reads the end, or is gone itself.
    package mutating func channelEnded() -> Action {
        state == .over ? .none : takeBack(.channelEnded)
    }

    private mutating func refuse(_ what: String) -> Action {
        // Closing the channel would not do: a receiver that holds the offer must hear that it is taken back.
        _ = timeLimitReached()
        return .refuse(what)
    }

    private mutating func settle(declined verdicts: [Verdict]) -> Action {
        state = .over
        return .settle(
            Settlement(
                ending: .declined,
                fates: verdicts.map { verdict in
                    if case .decline(let reason) = verdict { .declined(reason) } else { .takenBack }
                }))
    }

    private mutating func takeBack(_ ending: Settlement.Ending, endsChannel: Bool = false) -> Action {
        state = .over
        return .settle(
            Settlement(ending: ending, fates: Array(repeating: .takenBack, count: count), endsChannel: endsChannel))
    }
}
