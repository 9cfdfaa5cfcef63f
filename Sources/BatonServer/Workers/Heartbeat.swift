/// Whether a worker's event loop turns. A worker whose loop does not (stopped, spinning, blocked) serves nobody, and looks
/// like the one with the most room. It answers no beat, by which it is told from one that is idle.
///
/// No I/O, no clock: moments are on the monotonic clock in nanoseconds.
struct Heartbeat {
    enum Step: Hashable {
        /// Send it a beat. There is not more than one at a time: what a stopped process does not read must not gather.
        case ask
        /// It is silent from now on.
        case leaveOut
        /// It has been silent for so long that another is to be started beside it. Said again at each beat.
        case replace
        /// It is to be killed. Said once.
        case kill
    }

    /// Between beats.
    static let interval: UInt64 = 500_000_000
    /// Beats without an answer after which a worker is silent. Beats are counted rather than time: a front that was stopped
    /// itself has sent none.
    static let maxUnanswered = 6
    /// How long a worker is silent before another is started beside it.
    static let patience: UInt64 = 10_000_000_000

    /// Beats that have passed since the one that has not been answered; `nil`: it has been.
    private var unanswered: Int?
    /// Since when it does not answer.
    private(set) var silentSince: UInt64?
    private var isKilled = false

    /// The next beat is due.
    ///
    /// - Parameter limit: how long a worker may be silent; `nil`: for ever.
    mutating func beat(at now: UInt64, limit: UInt64?) -> [Step] {
        guard let former = unanswered else {
            unanswered = 0
            return [.ask]
        }
        let unanswered = former + 1
        self.unanswered = unanswered
        var steps: [Step] = []
        if silentSince == nil, unanswered >= Self.maxUnanswered {
            silentSince = now
            steps.append(.leaveOut)
        }
        if let limit, Self.interval * UInt64(unanswered) >= limit {
            if !isKilled { steps.append(.kill) }
            isKilled = true
        } else if let silentSince, now >= silentSince + Self.patience {
            steps.append(.replace)
        }
        return steps
    }

    /// A beat has been answered.
    ///
    /// - Returns: whether it was silent.
    mutating func answered() -> Bool {
        defer { silentSince = nil }
        unanswered = nil
        return silentSince != nil
    }
}
