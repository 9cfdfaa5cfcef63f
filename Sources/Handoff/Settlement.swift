/// How a transfer ended for its owner, and what became of each parcel.
public struct Settlement: Hashable, Sendable {
    /// How the transfer ended.
    public enum Ending: Hashable, Sendable {
        /// The commit left: accepted parcels belong to the receiver.
        case committed
        /// The receiver declined every parcel.
        case declined
        /// The time limit passed, or the caller cancelled. The receiver has been told.
        case cancelled
        /// The channel ended before the commit.
        case channelEnded
        /// Nobody could be told to let go, so the connections were closed rather than owned twice.
        case inDoubt
    }

    /// What became of one parcel.
    public enum Fate: Hashable, Sendable {
        /// The receiver owns it; this process's copy is destroyed.
        case handedOver
        /// The receiver did not want it; the caller owns it.
        case declined(DeclineReason)
        /// It was not handed over; the caller owns it.
        case takenBack
        /// It was closed, and nobody owns it.
        case closed

        /// Whether the caller owns the parcel again.
        public var isReturned: Bool {
            switch self {
            case .declined, .takenBack: true
            case .handedOver, .closed: false
            }
        }
    }

    /// How the transfer ended.
    public let ending: Ending

    /// One for each parcel, in the order of the offer.
    public let fates: [Fate]

    /// The channel must be closed now.
    package var endsChannel = false

    /// How many parcels the receiver owns now.
    public var handedOverCount: Int { fates.count { $0 == .handedOver } }
}
