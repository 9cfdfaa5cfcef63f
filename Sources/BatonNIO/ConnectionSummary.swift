public import Handoff
public import NIOCore
public import TLSRecords

/// What there is to show of a live connection. It holds no secret.
public struct ConnectionSummary: Sendable {
    /// Its number in this process.
    public let id: ConnectionID
    /// What the handshake settled; `nil` for a plain connection and during the handshake.
    public let info: ConnectionInfo?
    /// Moves, age, listener.
    public let metadata: ParcelMetadata
    /// The peer's address.
    public let peer: SocketAddress?
    /// Whether the handshake goes on.
    public let isHandshaking: Bool
    /// Whether the application holds it here (`ConnectionHandler.hold`).
    public let isBusy: Bool
    /// Bytes written and not known to be taken by the kernel.
    public let pendingByteCount: Int
}
