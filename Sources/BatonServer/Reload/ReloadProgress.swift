/// Who has taken the configuration that a reload puts to use.
///
/// No I/O, no clock.
struct ReloadProgress {
    enum Outcome: Equatable {
        case taken(ReloadReport)
        /// Some workers have kept the configuration that they had, each with the reason.
        case kept([String])
    }

    /// The number of the change. An answer names it.
    let turn: UInt64
    private var waitingFor: Set<Int>
    private var failures: [String] = []
    private var report: ReloadReport?

    /// - Parameter workers: the numbers of those that are told of it.
    init(turn: UInt64, workers: Set<Int>) {
        self.turn = turn
        waitingFor = workers
    }

    /// The front has it in use.
    mutating func applied(_ report: ReloadReport) { self.report = report }

    /// A worker has taken the configuration, or has kept the one before.
    mutating func answered(_ worker: Int, turn: UInt64, failure: String?) {
        guard turn == self.turn, waitingFor.remove(worker) != nil, let failure else { return }
        failures.append("worker \(worker): \(failure)")
    }

    /// A worker is gone. The next has the configuration from its beginning.
    mutating func ended(_ worker: Int) { waitingFor.remove(worker) }

    /// Those that have not answered, in order.
    var missing: [Int] { waitingFor.sorted() }

    /// `nil` as long as somebody is waited for.
    var outcome: Outcome? {
        guard let report, waitingFor.isEmpty else { return nil }
        return failures.isEmpty ? .taken(report) : .kept(failures)
    }
}
