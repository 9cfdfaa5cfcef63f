internal import Handoff

extension SocketLock {
    /// Waits until nobody else starts at `path`.
    ///
    /// - Throws: `pathInUse` when the time is over; otherwise as `HandoffListener.init`.
    static func start(
        at path: String, trusting users: TrustedUsers, within limit: Duration
    ) async throws -> SocketLock {
        let clock = ContinuousClock()
        let end = clock.now + limit
        while true {
            if let lock = try startIfFree(at: path, trusting: users) { return lock }
            guard clock.now < end else { throw HandoffError.stillStarting(path) }
            // The kernel tells nobody that a lock is free but who blocks a thread for it.
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
