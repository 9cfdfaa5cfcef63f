import BatonCore
internal import CLinuxSockets

/// Hands segments to a connection of this host as if its peer had sent them. TCP_REPAIR restores no FIN that was
/// received and no acknowledgement of a FIN that was sent; a segment that says so does.
///
/// It writes to local addresses only, over the loopback interface.
struct SegmentInjector: ~Copyable, Sendable {
    private let descriptor: Descriptor
    private let family: IPAddress.Family

    init(family: IPAddress.Family) throws(MigrationError) {
        self.family = family
        descriptor = Descriptor(owning: try checked(baton_raw_socket(family.number), "raw socket"))
    }

    func send(_ segment: TCPSegment, to flow: Flow) throws(MigrationError) {
        let packet = segment.packet(from: flow.remote, to: flow.local)
        let result = baton_raw_send(
            descriptor.number, family.number, flow.local.address.octets, packet, packet.count)
        try checked(result, "raw send")
    }
}

extension FrozenSocket {
    /// The peer's FIN, just as it came: behind the last byte received, acknowledging nothing new.
    var remoteFIN: TCPSegment {
        TCPSegment(
            sequence: receiveEnd, acknowledgement: sendSequence, flags: [.acknowledge, .finish], window: offeredWindow)
    }

    /// The peer's acknowledgement of our FIN.
    var acknowledgementOfFIN: TCPSegment {
        TCPSegment(
            sequence: receiveEnd, acknowledgement: sendEnd &+ 1, flags: .acknowledge, window: offeredWindow)
    }

    /// The window field that leaves the send window as it is (RFC 7323 2.3).
    private var offeredWindow: UInt16 { UInt16(clamping: window.send >> UInt32(negotiated.sendScale)) }
}
