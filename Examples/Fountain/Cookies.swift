/// Shows that a peer hears at its address, and nothing has to be remembered of one that has not shown it: a cookie is a hash of the
/// address, the session's number and the time, with a key that nobody else knows. It is good for one to two minutes.
struct Cookies: Codable {
    private let key: (UInt64, UInt64)

    init() { key = (.random(in: 0 ... .max), .random(in: 0 ... .max)) }

    init(from decoder: any Decoder) throws {
        var words = try decoder.unkeyedContainer()
        key = (try words.decode(UInt64.self), try words.decode(UInt64.self))
    }

    func encode(to encoder: any Encoder) throws {
        var words = encoder.unkeyedContainer()
        try words.encode(key.0)
        try words.encode(key.1)
    }

    /// - Parameter now: nanoseconds.
    func cookie(for session: SessionKey, now: UInt64) -> UInt64 { hash(session, period: now >> 36) }

    func isGood(_ cookie: UInt64, for session: SessionKey, now: UInt64) -> Bool {
        let period = now >> 36
        return cookie == hash(session, period: period) || cookie == hash(session, period: period &- 1)
    }

    /// SipHash-2-4 of three words. Swift's own hash has another key in each process.
    private func hash(_ session: SessionKey, period: UInt64) -> UInt64 {
        var (v0, v1) = (key.0 ^ 0x736f_6d65_7073_6575, key.1 ^ 0x646f_7261_6e64_6f6d)
        var (v2, v3) = (key.0 ^ 0x6c79_6765_6e65_7261, key.1 ^ 0x7465_6462_7974_6573)
        func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 { word << count | word >> (64 - count) }
        func mix() {
            v0 &+= v1
            v1 = rotate(v1, 13) ^ v0
            v0 = rotate(v0, 32)
            v2 &+= v3
            v3 = rotate(v3, 16) ^ v2
            v0 &+= v3
            v3 = rotate(v3, 21) ^ v0
            v2 &+= v1
            v1 = rotate(v1, 17) ^ v2
            v2 = rotate(v2, 32)
        }
        for word in [session.peer.word, session.number, period, 24 << 56] {
            v3 ^= word
            mix()
            mix()
            v0 ^= word
        }
        v2 ^= 0xff
        for _ in 0..<4 { mix() }
        return v0 ^ v1 ^ v2 ^ v3
    }
}
