public import TLSRecords

/// What is handed on: a connection with everything that belongs to it.
///
/// A parcel owns its sockets and its secrets. When it goes, without having been handed over or taken apart, the sockets
/// are closed and the secrets zeroed.
@frozen
public struct Parcel: ~Copyable, Sendable {
    /// The TLS connection at rest; `nil` for a connection without TLS, or one that has yet to begin it.
    public var snapshot: Snapshot?

    /// The TLS connection of the second socket, at rest, of a session that has two; a snapshot like the first, because the
    /// application state is not zeroed.
    public var secondSnapshot: Snapshot?

    /// The connection's sockets. By custom the peer's comes first.
    public var sockets: DescriptorSet

    /// Bytes read from the first socket that nobody has looked at. With a snapshot this is empty: the snapshot has them.
    public var received: [UInt8] = []

    /// Bytes written to the first socket that the kernel has not taken: the next owner writes them first. With a snapshot
    /// this is empty: the snapshot has them, as ciphertext.
    public var unsent: [UInt8] = []

    /// Plaintext of the first socket's TLS connection that an application has read and given back, at most `maxUnread` bytes:
    /// the next owner reads it before what the snapshot holds. Without a snapshot this is empty: `received` begins with it.
    public var unread: [UInt8] = []

    /// The application's own state, in a form its programs agree on. Unlike the snapshot it is not zeroed.
    public var applicationState: [UInt8] = []

    /// What else is known of the connection.
    public var metadata = ParcelMetadata()

    /// How many bytes an application can give back, 1 MiB.
    public static let maxUnread = 1 << 20

    /// A parcel of `sockets` and, with TLS, the connection's `snapshot`.
    public init(
        snapshot: consuming Snapshot? = nil, sockets: consuming DescriptorSet = DescriptorSet(),
        applicationState: [UInt8] = [], metadata: ParcelMetadata = ParcelMetadata()
    ) {
        self.snapshot = snapshot
        self.sockets = sockets
        self.applicationState = applicationState
        self.metadata = metadata
    }
}
