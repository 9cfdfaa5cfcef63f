internal import Libc

/// An IPv4 or IPv6 address. No name, no port, no zone.
public enum IPAddress: Hashable, Sendable {
    /// The 32 bits of an IPv4 address, the first octet in the highest byte.
    case v4(UInt32)
    /// The 128 bits of an IPv6 address as two halves, the first octet in the highest byte of `high`.
    case v6(high: UInt64, low: UInt64)
}

extension IPAddress {
    /// Reads the usual text form: four decimal numbers, or RFC 4291 section 2.2. Nothing else is accepted: no zone,
    /// no brackets, no blanks, no octal.
    public init?(_ text: some StringProtocol) {
        // inet_pton reads a C string: a NUL within would hide what follows it.
        guard text.utf8.count <= 45, !text.utf8.contains(0) else { return nil }
        let text = String(text)
        var v4 = in_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            self = .v4(UInt32(bigEndian: v4.s_addr))
            return
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        self = withUnsafeBytes(of: &v6) { bytes in
            .v6(
                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    /// The address of 4 or 16 octets in network order; nil for any other number.
    public init?(octets: some Collection<UInt8>) {
        func number<T: FixedWidthInteger>(_ part: some Collection<UInt8>) -> T { part.reduce(0) { $0 << 8 | T($1) } }
        switch octets.count {
        case 4: self = .v4(number(octets))
        case 16: self = .v6(high: number(octets.prefix(8)), low: number(octets.suffix(8)))
        default: return nil
        }
    }

    /// The IPv4 address that an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) stands for; otherwise itself.
    /// A dual-stack socket reports its IPv4 peers in the mapped form.
    public var unmapped: IPAddress {
        if case .v6(0, let low) = self, low >> 32 == 0xFFFF { return .v4(UInt32(truncatingIfNeeded: low)) }
        return self
    }

    /// The IPv4-mapped form of an IPv4 address; an IPv6 address is itself.
    package var mapped: IPAddress {
        guard case .v4(let bits) = self else { return self }
        return .v6(high: 0, low: 0xFFFF_0000_0000 | UInt64(bits))
    }

    /// The 4 or 16 octets in network order.
    public var octets: [UInt8] {
        switch self {
        case .v4(let bits): withUnsafeBytes(of: bits.bigEndian) { Array($0) }
        case .v6(let high, let low):
            withUnsafeBytes(of: high.bigEndian) { Array($0) } + withUnsafeBytes(of: low.bigEndian) { Array($0) }
        }
    }
}

extension IPAddress {
    /// A version of IP.
    public enum Family: UInt8, Sendable, CaseIterable {
        case ipv4 = 4
        case ipv6 = 6

        /// The length of an address in bytes.
        package var addressLength: Int { self == .ipv4 ? 4 : 16 }

        /// The family's number in the socket interface.
        package var number: Int32 { self == .ipv4 ? AF_INET : AF_INET6 }
    }

    /// Which version of IP the address belongs to. An IPv4-mapped one is of IPv6.
    public var family: Family { if case .v4 = self { .ipv4 } else { .ipv6 } }

    /// Whether it is an IPv6 address that means something on one link only (RFC 4291 section 2.5.6).
    package var isLinkLocal: Bool { if case .v6(let high, _) = self { high >> 54 == 0xFE80 >> 6 } else { false } }
}

extension IPAddress: CustomStringConvertible {
    /// The text form of RFC 5952.
    public var description: String {
        var octets = octets
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
            let family = octets.count == 4 ? AF_INET : AF_INET6
            guard let base = text.baseAddress,
                let end = inet_ntop(family, &octets, base, socklen_t(text.count))
            else { return "" }
            return String(cString: end)
        }
    }
}
