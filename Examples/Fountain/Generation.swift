/// The code: a random linear code over GF(2) (each packet is the exclusive or of some of the generation's symbols), whose first
/// packets are the symbols themselves. Which symbols a packet is made of follows from its seed alone, so a receiver needs any
/// packets, as many as there are symbols and on the average two more. README.md has the definition for other implementations.
struct Generation {
    let number: UInt32
    /// Each a whole number of 64-bit words.
    private let symbols: [[UInt64]]

    var count: Int { symbols.count }

    init(number: UInt32, _ bytes: ArraySlice<UInt8>) {
        self.number = number
        symbols = stride(from: bytes.startIndex, to: bytes.endIndex, by: SourceFile.symbolSize).map { start in
            let piece = bytes[start..<min(start + SourceFile.symbolSize, bytes.endIndex)]
            var words = [UInt64](repeating: 0, count: SourceFile.symbolSize / 8)
            for (index, byte) in piece.enumerated() { words[index / 8] |= UInt64(byte) << (8 * (index % 8)) }
            return words
        }
    }

    /// The symbols of which the packet with this seed is made; bit i stands for symbol i.
    func coefficients(seed: UInt32) -> UInt64 {
        if seed < count { return 1 << UInt64(seed) }
        let mask: UInt64 = count == 64 ? .max : (1 << UInt64(count)) - 1
        let drawn = Self.mix(UInt64(number) << 32 | UInt64(seed)) & mask
        return drawn == 0 ? 1 : drawn
    }

    /// The packet's content.
    func packet(seed: UInt32) -> [UInt8] {
        let coefficients = coefficients(seed: seed)
        var sum = [UInt64](repeating: 0, count: SourceFile.symbolSize / 8)
        for index in 0..<count where coefficients >> UInt64(index) & 1 == 1 {
            for word in sum.indices { sum[word] ^= symbols[index][word] }
        }
        return sum.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
    }

    /// The output function of SplitMix64.
    private static func mix(_ seed: UInt64) -> UInt64 {
        var z = seed &+ 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
