internal import Glibc

/// Held by a process that starts at a path, until it listens there: of several, one after the other looks who is there. The
/// kernel frees the lock with its holder.
package final class StartLock: Sendable {
    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { Glibc.close(descriptor) }

    /// Takes the lock file `<path>.start.lock`; `nil` if somebody holds it.
    ///
    /// - Throws: as `HandoffListener.init`.
    package static func takeIfFree(
        beside path: String, trusting users: TrustedUsers
    ) throws(HandoffError) -> StartLock? {
        guard (1...107).contains(path.utf8.count) else { throw .pathTooLong(path) }
        try SocketDirectory.check(of: path, trusting: users)
        do throws(HandoffError) {
            return StartLock(try SocketDirectory.lock(path + ".start"))
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
