extension ParcelSender {
    /// How an offer ended.
    package struct Delivery: Sendable {
        /// Why a parcel was not handed over.
        package enum Failure: Hashable, Sendable {
            /// The receiver did not want it.
            case declined(DeclineReason)
            /// The offer ended so.
            case takenBack(Settlement.Ending)
            /// Nothing could be offered.
            case unreachable(HandoffError.Code)
            /// It was closed, because nobody could tell who owns it.
            case inDoubt
        }

        package private(set) var handedOver = 0
        /// Parcels that are the caller's again.
        package private(set) var returned: [ParcelBox] = []
        /// Closed because nobody could tell who owns them.
        package private(set) var lost = 0
        /// Why parcels came back.
        package let reason: String?
        /// Those that were not handed over.
        package private(set) var failures: [Failure: Int] = [:]

        init(reason: String? = nil) {
            self.reason = reason
        }

        /// Nothing was offered.
        init(returned: [ParcelBox], reason: String, _ failure: Failure) {
            self.returned = returned
            self.reason = reason
            failures = [failure: returned.count]
        }

        /// How many parcels met their fate.
        package var count: Int { handedOver + returned.count + lost }

        mutating func count(_ fate: Fate, _ ending: Settlement.Ending) {
            switch fate {
            case .handedOver: handedOver += 1
            case .returned(let box, let reason):
                returned.append(box)
                failures[reason.map(Failure.declined) ?? .takenBack(ending), default: 0] += 1
            case .closed:
                lost += 1
                failures[.inDoubt, default: 0] += 1
            }
        }
    }
}

extension Settlement {
    /// What stood in the way of those that were not handed over.
    func obstacle(_ error: HandoffError?) -> String? {
        for case .declined(let reason) in fates.reversed() { return "\(reason)" }
        if let error { return "\(error)" }
        return handedOverCount < fates.count ? "\(ending)" : nil
    }
}
