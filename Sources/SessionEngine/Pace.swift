/// How many bytes of a leg may be read in a second: a token bucket. One that has used up what it has is read no further for 50 ms,
/// or, at low rates, until 4 KiB or a second's worth may be read. It reads no clock; times are milliseconds of one that does not go
/// back.
struct Pace {
    /// Bytes a second; 0: as many as come.
    private(set) var rate: UInt64 = 0
    /// Until when nothing is read; 0: it may be.
    private(set) var heldUntil: UInt64 = 0
    private var credit: UInt64 = 0
    private var since: UInt64 = 0

    var isOn: Bool { rate > 0 }

    /// A leg that is new to its owner has what comes in the shortest wait, so that moving is no way to have more.
    mutating func set(_ rate: UInt64, at now: UInt64) {
        guard rate != self.rate else { return }
        self.rate = min(rate, 1 << 40)
        heldUntil = 0
        credit = portion
        since = now
    }

    /// The bytes that may be read now.
    mutating func allowance(at now: UInt64) -> Int {
        let gained = min(now &- min(since, now), 1_000) * rate / 1_000
        if gained > 0 {
            credit = min(credit + gained, max(rate / 4, portion))
            since = now
        }
        return Int(clamping: credit)
    }

    /// So many have been read.
    mutating func spend(_ count: Int, at now: UInt64) {
        credit -= min(credit, UInt64(max(0, count)))
        if credit == 0 { heldUntil = now + wait }
    }

    /// Nothing may be read.
    mutating func hold(at now: UInt64) { heldUntil = now + wait }

    /// It may be read again, if it is time.
    mutating func release(at now: UInt64) { if heldUntil <= now { heldUntil = 0 } }

    private var wait: UInt64 { min(1_000, max(50, 4_096_000 / max(1, rate))) }

    /// What comes in while it waits.
    private var portion: UInt64 { max(1, rate * wait / 1_000) }
}
