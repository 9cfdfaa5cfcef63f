package import BatonCore

/// The addresses that begin with the same bits: `192.0.2.0/24`, `2001:db8::/32`, or a single address.
package struct Network: Hashable, Sendable {
    /// Its first address.
    package let address: IPAddress
    /// How many bits they share.
    package let prefixLength: Int

    /// Reads an address with the number of bits behind a slash; without one it is that address alone. Bits beyond the
    /// prefix must be zero: a network that is written otherwise is likely to be another than was meant.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]), address.unmapped == address else { return nil }
        let width = address.octets.count * 8
        var length = width
        if parts.count == 2 {
            guard 1...3 ~= parts[1].utf8.count, parts[1].utf8.allSatisfy(\.isDigit), let number = Int(parts[1]),
                0...width ~= number
            else { return nil }
            length = number
        }
        self.address = address
        prefixLength = length
        guard Self.masked(address.octets, length) == address.octets else { return nil }
    }

    /// Whether an address is one of them. An IPv4-mapped IPv6 address counts as the IPv4 address.
    package func contains(_ other: IPAddress) -> Bool {
        let (octets, others) = (address.octets, other.unmapped.octets)
        return octets.count == others.count && Self.masked(others, prefixLength) == octets
    }

    private static func masked(_ octets: [UInt8], _ length: Int) -> [UInt8] {
        octets.enumerated().map { index, octet in
            octet & ~UInt8(truncatingIfNeeded: 0xFF >> max(0, min(8, length - index * 8)))
        }
    }
}

extension Network: CustomStringConvertible {
    /// The form that `init` reads.
    package var description: String { "\(address)/\(prefixLength)" }
}

extension SettingFormat where Value == Network {
    static var network: SettingFormat {
        .word("a network as 192.0.2.0/24 or 2001:db8::/32", read: { Network($0) }, write: { "\($0)" })
    }
}
