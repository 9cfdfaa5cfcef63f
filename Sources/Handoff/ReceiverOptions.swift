/// What a receiver takes.
public struct ReceiverOptions: Sendable, Hashable {
    /// How many more connections this process has room for; told to the owner, not enforced. `nil` names no limit.
    public var room: UInt32?

    /// The most bytes of one offer, sealed; larger ones are declined. 256 MiB unless set; at most 2 GiB.
    public var largestOffer = 256 << 20

    /// The most descriptors of one offer; more are declined. 65,536 unless set. The process's own limit
    /// (RLIMIT_NOFILE) is noticed by itself.
    public var maxDescriptors = 65_536

    /// After the end of a channel, how long to wait for the owner's death to show before its offer is discarded. A
    /// process that exits closes its descriptors a moment before it is dead.
    public var proofTime = Duration.seconds(1)

    /// The defaults.
    public init() {}
}
