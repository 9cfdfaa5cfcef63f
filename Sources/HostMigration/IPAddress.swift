import Glibc

/// An IPv4 or IPv6 address, in network byte order.
public struct IPAddress: Hashable, Sendable {
    /// Which version of IP an address or packet belongs to.
    public enum Family: UInt8, Sendable, CaseIterable {
        case ipv4 = 4
        case ipv6 = 6

        /// Length of an address in bytes.
        public var addressLength: Int { self == .ipv4 ? 4 : 16 }

        /// The family's number in the socket interface.
        public var number: Int32 { self == .ipv4 ? AF_INET : AF_INET6 }
    }

    /// 4 or 16 bytes.
    public let bytes: [UInt8]

    /// An address of 4 or 16 bytes; nil for any other length. An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) becomes
    /// the IPv4 address that is on the wire.
    public init?(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        let isMapped = bytes.count == 16 && bytes.starts(with: IPAddress.mappedPrefix)
        self.bytes = isMapped ? Array(bytes.suffix(4)) : bytes
    }

    /// Reads the textual form; nil if it is none.
    public init?(_ text: String) {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 {
            self.init(bytes.prefix(4))
        } else if inet_pton(AF_INET6, text, &bytes) == 1 {
            self.init(bytes)
        } else {
            return nil
        }
    }

    /// Which version of IP carries it.
    public var family: Family { bytes.count == 4 ? .ipv4 : .ipv6 }

    /// Whether it means something on one link only (RFC 4291 2.5.6).
    var isLinkLocal: Bool {
        family == .ipv6 && bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
    }

    static let mappedPrefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
}

extension IPAddress: CustomStringConvertible {
    /// The textual form (RFC 5952).
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(family.number, bytes, &text, socklen_t(text.count)) != nil else { return "?" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
