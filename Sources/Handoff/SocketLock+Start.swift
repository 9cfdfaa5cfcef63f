/// Processes that start at a path, one after the other looking who is there: each holds `<path>.start.lock` until it listens.
extension SocketLock {
    /// Takes the lock; `nil` if somebody holds it.
    ///
    /// - Throws: as `HandoffListener.init`.
    package static func startIfFree(
        at path: String, trusting users: TrustedUsers
    ) throws(HandoffError) -> SocketLock? {
        guard (1...107).contains(path.utf8.count) else { throw .pathTooLong(path) }
        try SocketDirectory.check(of: path, trusting: users)
        do throws(HandoffError) {
            return try SocketLock(beside: path + ".start")
        } catch {
            guard error.code == .pathInUse else { throw error }
            return nil
        }
    }
}

extension HandoffError {
    package static func stillStarting(_ path: String) -> HandoffError {
        HandoffError(.pathInUse, "other processes have been starting at \(path) all the time; see what holds them up")
    }
}
