extension Sequence<UInt8> {
    /// FNV-1a, and the last mix of MurmurHash3, by which each bit of the text changes all bits. It is the same in every process
    /// and version, and no secret: who chooses the bytes can choose the number.
    var stableHash: UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in self { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        return hash ^ (hash >> 33)
    }
}
