internal import Foundation

/// Counts what must be over before the migration process may end: what another host has asked for and is being done, and
/// connections on their way to workers.
final class UnderWay: @unchecked Sendable {
    private let condition = NSCondition()
    private var count = 0
    private var isEnding = false

    /// How long the rest may take once the process is to end, in seconds: longer than a batch, and than a placer tries.
    private static let patience = 60.0

    /// One more begins. It must not if this returns false.
    func begin() -> Bool {
        condition.withLock {
            guard !isEnding else { return false }
            count += 1
            return true
        }
    }

    /// One more is part of what has begun.
    func add() {
        condition.withLock { count += 1 }
    }

    /// So many are over.
    func end(_ number: Int = 1) {
        condition.withLock {
            count -= number
            condition.broadcast()
        }
    }

    /// Lets nothing begin any more, and waits for the rest.
    func finish() {
        let end = Date(timeIntervalSinceNow: Self.patience)
        condition.withLock {
            isEnding = true
            while count > 0, condition.wait(until: end) {}
        }
    }
}
