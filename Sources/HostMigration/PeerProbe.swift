internal import BatonCore
internal import CLinuxSockets

/// Makes the peer of a connection say something: the byte before those that it has acknowledged last, sent once more. It
/// throws the byte away and acknowledges at once (RFC 9293 3.10.7.4), however often it is asked.
///
/// Whoever has the connection hears nothing new in that, and if nobody has it the peer is told by a reset. Two hosts that
/// cannot know whether the other one has it both ask, each when it holds nothing of it any more.
struct PeerProbe: Sendable {
    private let flow: Flow
    private let segment: TCPSegment

    init(_ frozen: borrowing FrozenSocket) {
        flow = frozen.flow
        segment = TCPSegment(
            sequence: frozen.sendSequence &- 1, acknowledgement: frozen.receiveEnd, flags: .acknowledge,
            window: UInt16(clamping: frozen.window.receive >> UInt32(frozen.negotiated.receiveScale)),
            options: frozen.negotiated.usesTimestamps ? PeerProbe.timestamps(frozen.timestamp) : [], payload: [0])
    }

    /// Two NOPs and the timestamps option, without which a peer may drop the segment (RFC 7323 3.2). One that is out of date
    /// is answered, too (5.3).
    private static func timestamps(_ value: UInt32) -> [UInt8] {
        var option: [UInt8] = [1, 1, 8, 10]
        option.append(bigEndian: value)
        option.append(bigEndian: UInt32(0))
        return option
    }

    /// Nobody answers for its arrival: it is the last attempt to tell the peer.
    func send() {
        guard let number = try? checked(baton_raw_socket(flow.family.number), "raw socket") else { return }
        let descriptor = Descriptor(owning: number)
        let packet = segment.packet(from: flow.local, to: flow.remote)
        _ = baton_raw_send(
            descriptor.number, flow.family.number, flow.remote.address.octets, packet, packet.count)
    }
}
