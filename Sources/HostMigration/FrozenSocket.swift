package import BatonCore

/// Everything the kernel knows of an established TCP connection and lets be carried to another kernel.
///
/// It is a value: what was read from a socket in repair, and what a socket on another host is restored from. It does
/// not know of TLS; its queues hold bytes as they are on the wire, in plaintext if the application speaks plaintext,
/// and are zeroed with it. Congestion window, round-trip time, out-of-order queue and the peer's last timestamp have
/// no interface in the kernel and start anew. Bytes of the application's can accompany it.
package struct FrozenSocket: ~Copyable, Sendable {
    /// Both ends.
    package let flow: Flow
    /// State of the connection.
    package let state: TCPState
    /// What the handshake agreed upon.
    package let negotiated: NegotiatedOptions
    /// Both windows.
    package let window: SocketWindow
    /// What the application has set.
    package let options: SocketOptions

    /// Our timestamp clock (RFC 7323 5.4); bit 0 set: it counts microseconds, else milliseconds.
    package let timestamp: UInt32

    /// Sequence number of the first byte of `sendQueue`, or of what follows if that is empty.
    package let sendSequence: UInt32

    /// What the application has written and the peer has not acknowledged.
    package let sendQueue: ByteQueue

    /// How many bytes at the end of `sendQueue` have not been sent, and will not be by the old host.
    package let unsentCount: Int

    /// Sequence number of the first byte of `receiveQueue`, or of what follows if that is empty.
    package let receiveSequence: UInt32

    /// What has arrived in order and the application has not read.
    package let receiveQueue: ByteQueue

    /// Family of the socket itself: IPv6 also for an IPv4 flow that a dual-stack listener accepted.
    let socketFamily: IPAddress.Family

    /// The reading at the end of freezing, on the host where that happened.
    let standstill: Standstill?

    /// What the application has sent along: the state that belongs to the connection and that no kernel knows. Never empty.
    // Written out, because `?` would give it a value before there are the others.
    package var companion: Optional<SecretBytes>

    /// Sequence number that follows the last byte received, before any FIN.
    var receiveEnd: UInt32 { receiveSequence &+ UInt32(truncatingIfNeeded: receiveQueue.count) }

    /// Sequence number that follows the last byte written, before any FIN.
    var sendEnd: UInt32 { sendSequence &+ UInt32(truncatingIfNeeded: sendQueue.count) }
}
