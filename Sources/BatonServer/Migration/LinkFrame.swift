/// The kinds of message between the migration processes of two hosts. Each is framed: its kind (1 byte), the length of
/// its body (4, big-endian), its body.
enum LinkFrame: UInt8 {
    /// Both sides, first: protocol versions, limits, whether connections are taken.
    case hello = 1
    /// A batch begins: how many parcels, which follow.
    case batch = 2
    /// A parcel without its sockets: the flows that belong to it, and its encoded form.
    case parcel = 3
    /// Bytes of the stream between the privileged processes of both hosts.
    case relay = 4
    /// Nothing more of this batch comes to be relayed.
    case batchEnd = 5
    /// What became of a batch at the receiving host.
    case adopted = 6
    /// Answer for these service addresses, and forward those flows back.
    case takeAddresses = 7
    /// It is done.
    case taken = 8
    /// It could not be done, for this reason.
    case failed = 9
    /// Nothing more.
    case bye = 10
    /// New connections are about to be forwarded to the receiving host, which must not forward them any more.
    case newcomers = 11
    /// Batches are about to come.
    case prepare = 12

    /// The longest body of this kind in bytes.
    var limit: Int {
        switch self {
        case .parcel: LinkProtocol.longestParcel
        case .relay: 256 << 10
        case .takeAddresses: LinkProtocol.longestList
        default: 4096
        }
    }
}

/// What both sides of the link agree on.
enum LinkProtocol {
    /// The versions this build speaks.
    static let versions: ClosedRange<UInt8> = 1...1
    /// The most parcels of a batch.
    static let maxParcels = 64
    /// The longest parcel in bytes; a connection with more to carry stays.
    static let longestParcel = 64 << 20
    /// A list of flows: more than a hundred thousand.
    static let longestList = 4 << 20
    /// Length of a frame's header.
    static let header = 5
    /// ALPN: whoever listens for something else is not mistaken for a peer.
    static let applicationProtocol = "baton-migration"

    /// How long a peer may take to connect, to complete its handshake, or to answer.
    static let patience = Duration.seconds(10)
    /// How long a program that takes or leaves an address may need.
    static let hookPatience = Duration.seconds(10)
}
