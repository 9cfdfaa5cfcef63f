import BatonCore

/// What a server asks of its privileged process, each one message of a SOCK_SEQPACKET socket, answered before the next is
/// asked. Descriptors come with it. All integers are big-endian. Before each request and reply stands the request's number,
/// 32 bits, never 0.
enum NetworkRequest: Equatable {
    /// Say of each descriptor whether its connection can move. Nothing is touched.
    case examine
    /// Move the connections of all descriptors but the first, which is a stream to the other host's process, to `host`.
    /// One group for each; those of a group move together or not at all.
    case move(host: NextHop, groups: [Int])
    /// Receive one batch over the descriptor.
    case arrive
    /// Forward new connections to these ports to `host`.
    case steerNewcomers(ports: [UInt16], host: NextHop)
    /// No longer.
    case keepNewcomers
    /// Answer for the service addresses no more.
    case leaveAddresses
    /// Forward these flows to `host`, beside those that are forwarded already or, with `alone`, no other and nothing that
    /// begins.
    case forward([Flow], host: NextHop, alone: Bool)
    /// Answer for these service addresses.
    case takeAddresses([IPAddress])
    /// Answer for these service addresses again, which another host has not taken after all.
    case keepAddresses([IPAddress])
    /// Which connections of the service addresses this host has, or forwards to another host than `host`: the next `maxFlows`
    /// of them, the first where `isFirst`. Fewer are the last.
    case stayingFlows(besidesThoseAt: NextHop, isFirst: Bool)
    /// How many flows are forwarded.
    case countSteered
    /// Reset the connections of all descriptors, which a privileged process that died may have left in repair.
    case reset
    /// Install the rules, so that the first batch need not wait for them.
    case prepare

    /// The most descriptors of one message: the kernel's limit is 253.
    static let maxSockets = 240
    /// The most flows of one message.
    static let maxFlows = 1000
    /// The longest message in bytes.
    static let longest = 1 << 16

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .examine: bytes.append(1)
        case .move(let host, let groups):
            bytes.append(2)
            bytes.append(host)
            for group in groups { bytes.append(bigEndian: UInt16(clamping: group)) }
        case .arrive: bytes.append(3)
        case .steerNewcomers(let ports, let host):
            bytes.append(4)
            bytes.append(host)
            for port in ports { bytes.append(bigEndian: port) }
        case .keepNewcomers: bytes.append(5)
        case .leaveAddresses: bytes.append(6)
        case .takeAddresses(let addresses):
            bytes.append(7)
            for address in addresses { bytes.append(address) }
        case .forward(let flows, let host, let isAlone):
            bytes.append(12)
            bytes.append(host)
            bytes.append(isAlone ? 1 : 0)
            for flow in flows { bytes.append(flow) }
        case .countSteered: bytes.append(8)
        case .reset: bytes.append(10)
        case .prepare: bytes.append(11)
        case .stayingFlows(let host, let isFirst):
            bytes.append(13)
            bytes.append(host)
            bytes.append(isFirst ? 1 : 0)
        case .keepAddresses(let addresses):
            bytes.append(9)
            for address in addresses { bytes.append(address) }
        }
        return bytes
    }

    /// Nil for anything but what `encoded` writes.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var reader = WireReader(bytes)
        switch reader.uint8() {
        case 1: self = .examine
        case 2:
            guard let host = reader.nextHop() else { return nil }
            var groups: [Int] = []
            while !reader.isAtEnd {
                guard let group = reader.uint16() else { return nil }
                groups.append(Int(group))
            }
            self = .move(host: host, groups: groups)
        case 3: self = .arrive
        case 4:
            guard let host = reader.nextHop() else { return nil }
            var ports: [UInt16] = []
            while !reader.isAtEnd {
                guard let port = reader.uint16() else { return nil }
                ports.append(port)
            }
            self = .steerNewcomers(ports: ports, host: host)
        case 5: self = .keepNewcomers
        case 6: self = .leaveAddresses
        case 7:
            var addresses: [IPAddress] = []
            while !reader.isAtEnd {
                guard let address = reader.address() else { return nil }
                addresses.append(address)
            }
            self = .takeAddresses(addresses)
        case 8: self = .countSteered
        case 10: self = .reset
        case 11: self = .prepare
        case 13:
            guard let host = reader.nextHop(), let isFirst = reader.uint8(), isFirst <= 1 else { return nil }
            self = .stayingFlows(besidesThoseAt: host, isFirst: isFirst == 1)
        case 12:
            guard let host = reader.nextHop(), let isAlone = reader.uint8(), isAlone <= 1 else { return nil }
            var flows: [Flow] = []
            while !reader.isAtEnd {
                guard let flow = reader.flow() else { return nil }
                flows.append(flow)
            }
            self = .forward(flows, host: host, alone: isAlone == 1)
        case 9:
            var addresses: [IPAddress] = []
            while !reader.isAtEnd {
                guard let address = reader.address() else { return nil }
                addresses.append(address)
            }
            self = .keepAddresses(addresses)
        default: return nil
        }
        guard reader.isAtEnd else { return nil }
    }
}
