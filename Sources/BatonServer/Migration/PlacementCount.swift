internal import BatonCore
internal import Foundation

/// Counts what has become of connections that were given to workers, for a thread that waits for all of a batch.
final class PlacementCount: @unchecked Sendable {
    private let condition = NSCondition()
    private var placed = 0
    private var lost = 0
    private var settledAt: UInt64 = 0

    /// How long workers may take in all, in seconds: longer than a placer tries.
    private static let patience = 10.0

    /// Starts anew.
    func begin() {
        condition.withLock { (placed, lost, settledAt) = (0, 0, 0) }
    }

    /// So many have been taken, or will not be.
    func add(placed: Int, lost: Int) {
        condition.withLock {
            self.placed += placed
            self.lost += lost
            settledAt = MonotonicTime.now
            condition.broadcast()
        }
    }

    /// Waits until the fate of `count` is known. Returns how many were lost, and the moment of the last news.
    func wait(for count: Int) -> (lost: Int, settledAt: UInt64) {
        let end = Date(timeIntervalSinceNow: Self.patience)
        return condition.withLock {
            while placed + lost < count, condition.wait(until: end) {}
            return (count - min(count, placed), settledAt)
        }
    }
}
