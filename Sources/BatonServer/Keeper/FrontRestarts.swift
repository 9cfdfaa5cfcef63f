/// How long the keeper waits before it starts a front in the place of one that is gone: not at all the first time, and longer
/// with each one that fails at its start.
struct FrontRestarts {
    /// A front that has served as long has not failed at its start.
    static let steadiness = Duration.seconds(5)
    /// Before the second attempt after a failure. Each one that follows waits twice as long.
    static let shortestDelay = Duration.milliseconds(200)
    static let longestDelay = Duration.seconds(5)
    private static let maxDoublings = 5

    /// Fronts in a row that have failed at their start.
    private(set) var failures = 0

    /// A front has died.
    ///
    /// - Parameter served: for how long it had served; `nil`: not at all.
    mutating func died(afterServing served: Duration?) {
        if let served, served >= Self.steadiness { failures = 0 } else { fail() }
    }

    /// The process of a front could not be started.
    mutating func couldNotStart() { fail() }

    /// Before the next one.
    var delay: Duration {
        guard failures > 1 else { return .zero }
        return min(Self.longestDelay, Self.shortestDelay * (1 << min(failures - 2, Self.maxDoublings)))
    }

    private mutating func fail() { failures += 1 }
}
