/// When a responder is asked for an OCSP response, in seconds since 1970: ahead of time, when half of the life of the one there is has
/// passed, and again after a failure, ever more seldom.
///
/// No I/O, no clock.
struct StapleSchedule {
    static let firstRetry: Int64 = 5
    static let longestRetry: Int64 = 3_600
    /// No responder is asked more often, as long as it answers.
    static let shortestPause: Int64 = 60

    private(set) var nextAt: Int64
    private var failures = 0
    /// Whether a request is under way.
    private(set) var isUnderWay = false

    /// - Parameters:
    ///   - term: from when to when the response there is holds; nil: there is none.
    ///   - jitter: 0 to 1, so that not everybody asks at once.
    init(term: ClosedRange<Int64>?, jitter: Double) {
        nextAt = term.map { Self.half(of: $0, jitter) } ?? .min
    }

    func isDue(at now: Int64) -> Bool { !isUnderWay && nextAt <= now }

    mutating func asked() { isUnderWay = true }

    mutating func answered(_ term: ClosedRange<Int64>, at now: Int64, jitter: Double) {
        isUnderWay = false
        failures = 0
        // A responder may give what it has signed long ago: the next is there when it has signed again.
        let left = max(0, term.upperBound.subtractingReportingOverflow(now).partialValue)
        nextAt = max(Self.half(of: term, jitter), now + max(Self.shortestPause, min(3_600, left / 4)))
    }

    mutating func failed(at now: Int64, jitter: Double) {
        isUnderWay = false
        let pause = min(Self.longestRetry, Self.firstRetry << Int64(min(failures, 16)))
        failures += 1
        nextAt = now + pause + Int64(Double(pause) * jitter / 5)
    }

    /// Between 45 and 55 hundredths of its life.
    private static func half(of term: ClosedRange<Int64>, _ jitter: Double) -> Int64 {
        let (life, isBroken) = term.upperBound.subtractingReportingOverflow(term.lowerBound)
        guard !isBroken else { return .min }
        return term.lowerBound + Int64(Double(life) * (0.45 + jitter / 10))
    }
}
