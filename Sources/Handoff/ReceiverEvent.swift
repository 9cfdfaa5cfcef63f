/// What a receiver's channel has to tell.
@frozen
public enum ReceiverEvent: ~Copyable, Sendable {
    /// These connections are this process's now: resume them.
    case received(Received)
    /// An accepted offer came to nothing: the owner has its connections back, or they were closed. Nothing of them is
    /// left here.
    case discarded(Discarded)
    /// The other side closed the channel or terminated; nothing more will come.
    case ended
}

/// Connections this process has become the owner of.
@frozen
public struct Received: ~Copyable, Sendable {
    /// The connections, in the order of the offer, without those that were declined.
    public var parcels: ParcelBatch

    /// Whether they were adopted: the owner died before it could commit, and had written nothing since the offer.
    public let isAdopted: Bool
}

/// Why an accepted offer came to nothing.
public enum Discarded: Sendable, Hashable {
    /// The owner took it back.
    case cancelled
    /// The channel ended before the commit, with the owner alive, or without proof that it had written nothing since.
    case unproven
}
