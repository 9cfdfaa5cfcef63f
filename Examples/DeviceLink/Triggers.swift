import NIOCore

/// Tells devices that hold no connection that something waits for them: one UDP datagram with the device's name. It is not
/// authenticated and says nothing else, so all that a forged one can do is to have the device ask once, over TLS.
final class Triggers {
    /// Between two datagrams to one device. It is told again until it has come, at growing intervals.
    private static let shortest = TimeAmount.seconds(1)
    private static let longest = TimeAmount.seconds(60)

    private let channel: any Channel
    /// When a device was told last, and how long it is not told again.
    private var told: [String: (at: NIODeadline, interval: TimeAmount)] = [:]

    init(_ channel: any Channel) { self.channel = channel }

    /// Sends one, unless the last was sent a moment ago.
    func send(_ device: String, to address: Mailbox.TriggerAddress, now: NIODeadline = .now()) {
        let last = told[device]
        if let last, now < last.at + last.interval { return }
        guard let peer = try? SocketAddress(ipAddress: address.host, port: address.port) else { return }
        told[device] = (now, last.map { min($0.interval + $0.interval, Self.longest) } ?? Self.shortest)
        let datagram = AddressedEnvelope(remoteAddress: peer, data: ByteBuffer(string: device + "\n"))
        channel.writeAndFlush(datagram, promise: nil)
    }

    /// The device has come: what is new is told at once, but not within the shortest interval from the last datagram.
    func came(_ device: String) { told[device]?.interval = Self.shortest }
}
