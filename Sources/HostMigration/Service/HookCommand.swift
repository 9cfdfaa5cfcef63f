import BatonCore
internal import CLinuxSockets
import Libc

/// A program of the administrator's that moves an address, for example by commanding keepalived.
enum HookCommand {
    private static let milliseconds: Int32 = 10_000

    /// Runs `path` with the address as its argument and waits for its end. It has nothing to read, and writes to this
    /// process's log.
    ///
    /// - Throws: `.hookFailed` if it cannot be started, does not end with status 0, or takes longer than ten seconds. It
    ///   and what it has started are killed then.
    static func run(_ path: String, _ address: IPAddress) throws(MigrationError) {
        let status = baton_run(path, "\(address)", milliseconds)
        let how: String
        switch status {
        case 0: return
        case ..<0: how = "cannot be started: \(String(cString: strerror(-status)))"
        case _ where status & 0x7F == SIGKILL: how = "was killed, for it took more than ten seconds"
        case _ where status & 0x7F == 0: how = "ended with status \(status >> 8)"
        default: how = "ended by signal \(status & 0x7F)"
        }
        throw MigrationError(.hookFailed, "\(path) \(address) \(how)")
    }
}
