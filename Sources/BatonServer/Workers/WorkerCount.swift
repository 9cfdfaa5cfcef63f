/// How many workers are started or taken out of service, and how soon another takes the place of one that has died.
///
/// No I/O, no clock.
struct WorkerCount {
    enum Change: Hashable {
        case start(Int)
        case retire(Int)
    }

    /// What a worker that ends again and again before it is ready waits at most.
    private static let longestDelay = Duration.seconds(5)

    /// The number that a command has set.
    private(set) var asked: Int?
    private var failedStarts = 0

    init(asked: Int? = nil) { self.asked = asked }

    /// - Parameter number: `nil`: that of the configuration holds again.
    mutating func ask(for number: Int?) { asked = number }

    /// How many there are to be.
    func wanted(configured: Int) -> Int { asked ?? configured }

    /// What is to be done when so many take connections, or will. `nil`: nothing.
    func change(active: Int, configured: Int) -> Change? {
        let difference = wanted(configured: configured) - active
        return difference == 0 ? nil : difference > 0 ? .start(difference) : .retire(-difference)
    }

    /// A worker is ready.
    mutating func hasStarted() { failedStarts = 0 }

    /// A worker has died, or could not be started.
    ///
    /// - Returns: after how long another is started; `nil`: at once.
    mutating func hasFailed(wasReady: Bool) -> Duration? {
        failedStarts = wasReady ? 0 : failedStarts + 1
        return wasReady ? nil : min(Self.longestDelay, .milliseconds(100 << min(failedStarts, 10)))
    }
}
