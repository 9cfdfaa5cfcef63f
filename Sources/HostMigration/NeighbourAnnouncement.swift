import BatonCore

/// The frames by which a host says, unasked, that an address is at its interface: gratuitous ARP for IPv4 (RFC 5227 3),
/// an unsolicited neighbour advertisement for IPv6 (RFC 4861 7.2.6).
struct NeighbourAnnouncement {
    let address: IPAddress
    /// 6 bytes.
    let hardwareAddress: [UInt8]

    var frames: [[UInt8]] {
        switch address.family {
        // Some stacks heed only requests, some only replies.
        case .ipv4: [addressResolution(operation: 1), addressResolution(operation: 2)]
        case .ipv6: [advertisement]
        }
    }

    /// RFC 826, with the address as both sender and target.
    private func addressResolution(operation: UInt16) -> [UInt8] {
        let broadcast = [UInt8](repeating: 0xFF, count: 6)
        var frame = broadcast + hardwareAddress + [0x08, 0x06]
        frame += [0x00, 0x01, 0x08, 0x00, 6, 4]
        frame.append(bigEndian: operation)
        frame += hardwareAddress + address.octets
        frame += (operation == 1 ? [UInt8](repeating: 0, count: 6) : broadcast) + address.octets
        return frame
    }

    /// RFC 4861 4.4: Override set, Solicited clear, to all nodes, with the target's link-layer address.
    private var advertisement: [UInt8] {
        let allNodes: [UInt8] = [0xFF, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        var message: [UInt8] = [136, 0, 0, 0, 0x20, 0, 0, 0]
        message += address.octets
        message += [2, 1] + hardwareAddress
        var pseudoHeader = address.octets + allNodes
        pseudoHeader.append(bigEndian: UInt32(message.count))
        pseudoHeader.append(bigEndian: UInt32(58))
        let sum = InternetChecksum.of(pseudoHeader + message)
        message[2] = UInt8(sum >> 8)
        message[3] = UInt8(sum & 0xFF)
        var packet: [UInt8] = [0x60, 0, 0, 0]
        packet.append(bigEndian: UInt16(message.count))
        // Hop limit 255 proves that no router has forwarded it (RFC 4861 7.1.2).
        packet += [58, 255] + address.octets + allNodes + message
        return [0x33, 0x33, 0, 0, 0, 1] + hardwareAddress + [0x86, 0xDD] + packet
    }
}
