import BatonCore

extension Flow {
    /// The flow as a key of Baton's sets, `ip saddr . tcp sport . ip daddr . tcp dport` of the packets that arrive: each
    /// part padded to four bytes.
    var setKey: [UInt8] {
        var key = remote.address.octets
        key.append(bigEndian: remote.port)
        key += [0, 0]
        key += local.address.octets
        key.append(bigEndian: local.port)
        key += [0, 0]
        return key
    }
}
