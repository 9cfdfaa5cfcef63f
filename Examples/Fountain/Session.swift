/// What the sender knows of one peer: a value, without I/O and clock, which another process goes on with as it is.
///
/// **How fast.** At most `rate` bytes a second, and never more than `window` packets that the peer has not reported on: a peer or a
/// path that is silent gets no more than a probe now and then. The window grows with reports, by one for each, and is halved when
/// more than two of five packets were lost since it was last looked at. A code that mends any loss must not take that for a
/// licence; three of ten lost at random it bears.
struct Session: Codable {
    static let smallestWindow = 16
    static let largestWindow = 256
    /// Generations that are sent by turns, so that a report on its way does not hold up the next.
    private static let openGenerations = 4
    /// Nanoseconds after which a silent peer gets a probe, and after which it is forgotten.
    private static let probeTime: UInt64 = 100_000_000
    private static let silenceLimit: UInt64 = 30_000_000_000

    /// By which the peer has shown that it is where it says it is.
    let cookie: UInt64
    private var heard: UInt64
    private var probed: UInt64

    /// The number of the next packet, and the highest that was reported.
    private var next: UInt32 = 0
    private var highest: UInt32 = 0
    private var received: UInt32 = 0

    /// What the peer has decoded, and the next seed of each generation that has been begun.
    private var base: UInt32 = 0
    private var decoded: UInt64 = 0
    private var seeds: [UInt32: UInt32] = [:]
    private var turn = 0

    private var window = Session.smallestWindow
    private var (judgedHighest, judgedReceived): (UInt32, UInt32) = (0, 0)
    /// Bytes that may be sent now, and billionths of one more.
    private var allowance = 0
    private var fraction = 0
    private var allowedAt: UInt64

    init(cookie: UInt64, now: UInt64) {
        self.cookie = cookie
        (heard, probed, allowedAt) = (now, now, now)
    }

    func isOver(now: UInt64) -> Bool { now > heard + Self.silenceLimit }

    // MARK: Reports

    mutating func note(_ report: Message.Report, now: UInt64) {
        // A report may be late, come twice, or lie: it never counts for more than was sent.
        guard report.cookie == cookie, report.highest < max(next, 1), report.received <= next else { return }
        heard = now
        if report.base > base || report.base == base {
            (base, decoded) = (report.base, report.base > base ? report.decoded : decoded | report.decoded)
            seeds = seeds.filter { $0.key >= base }
        }
        guard report.highest > highest else { return }
        (highest, received) = (report.highest, max(received, report.received))
        window = min(window + 1, Self.largestWindow)
        let span = highest - judgedHighest
        guard span >= UInt32(Self.smallestWindow) * 2 else { return }
        let come = UInt64(received - min(received, judgedReceived))
        if come * 5 < UInt64(span) * 3 { window = max(window / 2, Self.smallestWindow) }
        (judgedHighest, judgedReceived) = (highest, received)
    }

    // MARK: Packets

    struct Packet {
        let number: UInt32
        let generation: UInt32
        let seed: UInt32
    }

    /// The next packet, if there may be one now.
    mutating func packet(of generationCount: Int, rate: Int, size: Int, now: UInt64) -> Packet? {
        guard next < .max, let generation = nextGeneration(of: generationCount) else { return nil }
        refill(rate: rate, most: max(rate / 50, 2 * size), now: now)
        guard allowance >= size else { return nil }
        if Int(next) - Int(highest) >= window {
            guard now > max(heard, probed) + Self.probeTime else { return nil }
            probed = now
        }
        allowance -= size
        let seed = seeds[generation, default: 0]
        seeds[generation] = seed &+ 1
        defer { next += 1 }
        return Packet(number: next, generation: generation, seed: seed)
    }

    private mutating func refill(rate: Int, most: Int, now: UInt64) {
        let passed = min(now - min(now, allowedAt), 20_000_000)
        let (whole, rest) = (Int(passed) * rate + fraction).quotientAndRemainder(dividingBy: 1_000_000_000)
        fraction = rest
        allowance = min(allowance + whole, most)
        allowedAt = now
    }

    /// By turns one of the first that are not decoded.
    private mutating func nextGeneration(of count: Int) -> UInt32? {
        var numbers: [UInt32] = []
        for offset in 0...UInt32(64) where numbers.count < Self.openGenerations {
            let isDecoded = offset > 0 && decoded >> UInt64(offset - 1) & 1 == 1
            if !isDecoded, Int(base) + Int(offset) < count { numbers.append(base + offset) }
        }
        guard !numbers.isEmpty else { return nil }
        turn = (turn + 1) % numbers.count
        return numbers[turn]
    }
}
