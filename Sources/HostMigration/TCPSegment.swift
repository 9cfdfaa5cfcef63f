import BatonCore

/// A TCP segment (RFC 9293 3.1).
struct TCPSegment: Sendable, Equatable {
    struct Flags: OptionSet, Sendable, Equatable {
        let rawValue: UInt8
        static let finish = Flags(rawValue: 0x01)
        static let reset = Flags(rawValue: 0x04)
        static let acknowledge = Flags(rawValue: 0x10)
    }

    var sequence: UInt32
    var acknowledgement: UInt32
    var flags: Flags
    var window: UInt16
    /// Padded to a multiple of four bytes.
    var options: [UInt8] = []
    /// A few bytes at most.
    var payload: [UInt8] = []

    private static let headerLength = 20

    /// The segment in its IP header. Both ends are of one family.
    func packet(from source: Endpoint, to destination: Endpoint) -> [UInt8] {
        var segment: [UInt8] = []
        segment.append(bigEndian: source.port)
        segment.append(bigEndian: destination.port)
        segment.append(bigEndian: sequence)
        segment.append(bigEndian: acknowledgement)
        segment.append(UInt8((TCPSegment.headerLength + options.count) / 4) << 4)
        segment.append(flags.rawValue)
        segment.append(bigEndian: window)
        segment.append(bigEndian: UInt32(0))
        segment += options + payload
        var pseudoHeader = source.address.octets + destination.address.octets
        pseudoHeader.append(bigEndian: UInt32(segment.count))
        pseudoHeader.append(bigEndian: UInt32(6))
        let sum = InternetChecksum.of(pseudoHeader + segment)
        segment[16] = UInt8(sum >> 8)
        segment[17] = UInt8(sum & 0xFF)
        return TCPSegment.header(from: source.address, to: destination.address, segment.count) + segment
    }

    private static func header(from source: IPAddress, to destination: IPAddress, _ length: Int) -> [UInt8] {
        var header: [UInt8]
        switch source.family {
        case .ipv4:
            // RFC 791 3.1. The kernel fills in identification and checksum (raw(7)).
            header = [0x45, 0, 0, UInt8(clamping: 20 + length), 0, 0, 0x40, 0, 64, 6, 0, 0]
        case .ipv6:
            // RFC 8200 3.
            header = [0x60, 0, 0, 0, 0, UInt8(clamping: length), 6, 64]
        }
        header += source.octets
        header += destination.octets
        return header
    }
}
