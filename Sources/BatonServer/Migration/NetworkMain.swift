internal import BatonConfiguration
internal import BatonCore
internal import CLinuxSockets
internal import HostMigration
internal import Libc

/// The two processes that have privileges while connections can move between hosts: `baton serve-privilege`, which a server
/// starts before it gives its own up, and `baton serve-network`, which the keeper starts.
package enum NetworkMain {
    /// CAP_NET_BIND_SERVICE, to restore connections of ports below 1024; CAP_NET_ADMIN; CAP_NET_RAW.
    private static let capabilities: [CInt] = [10, 12, 13]
    /// What the rest of the server does not keep: CAP_NET_ADMIN and CAP_NET_RAW.
    private static let surrendered: Set<CInt> = [12, 13]
    private static let maxCapabilities: CInt = 64

    /// `baton serve-network`: moves connections, over standard input, until its other end is gone.
    ///
    /// - Parameters:
    ///   - isRestarted: whether an earlier one with the same standard input has died.
    ///   - isConfined: whether this process has given up all other privileges. If not it does so, and starts anew.
    /// - Throws: `RuntimeError` when standard input is no such socket; `MigrationError`.
    package static func run(
        interfaces: [String], addresses: [String], takeCommand: String?, leaveCommand: String?, isRestarted: Bool,
        isConfined: Bool
    ) throws {
        let descriptor = try prepare("serve-network", isConfined: isConfined)
        let policy = NetworkPolicy(
            interfaces: interfaces, addresses: addresses.compactMap { IPAddress($0)?.unmapped },
            takeCommand: takeCommand, leaveCommand: leaveCommand)
        try NetworkServer(policy, owning: descriptor).run(isRestarted: isRestarted)
    }

    /// `baton serve-privilege`: starts the privileged process for the fronts of a server, the first of which is at standard
    /// input, until all are gone.
    ///
    /// - Parameters:
    ///   - arguments: those of the privileged process.
    ///   - isConfined: as for `run`.
    /// - Throws: `RuntimeError` when standard input is no such socket.
    package static func keep(_ arguments: [String], isConfined: Bool) throws {
        PrivilegeKeeper(arguments, owning: try prepare("serve-privilege", isConfined: isConfined)).run()
    }

    /// Returns what was standard input.
    private static func prepare(_ name: String, isConfined: Bool) throws -> CInt {
        var kind: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(0, SOL_SOCKET, SO_TYPE, &kind, &length) == 0 else {
            throw RuntimeError(.processFailed, "\(name) is started by baton serve; start that instead")
        }
        guard isConfined else { throw confine(keeping: capabilities) }
        guard hasPrivileges else { throw lacksPrivileges }
        // No signal is acted upon: a terminal's or a service manager's word to end is the front's to hear.
        let descriptor = fcntl(0, F_DUPFD_CLOEXEC, 3)
        // The other side is to hear of it when that is closed.
        let nothing = open("/dev/null", O_RDWR | O_CLOEXEC)
        if nothing >= 0 {
            dup2(nothing, 0)
            close(nothing)
        }
        return descriptor
    }

    /// Whether this process may move connections.
    static var hasPrivileges: Bool { capabilities.allSatisfy { baton_has_capability($0) == 1 } }

    static var lacksPrivileges: RuntimeError {
        RuntimeError(
            .system,
            "migration takes CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE; start the server with them")
    }

    /// Gives up, for this thread and what it executes, what only the privileged process needs.
    static func surrender() throws(RuntimeError) {
        try keep((0..<maxCapabilities).filter { !surrendered.contains($0) })
    }

    /// Gives up every privilege but those, and executes this program anew: capabilities belong to threads, and only what is
    /// executed has them on all. Returns only an error.
    static func confine(keeping capabilities: [CInt]) -> RuntimeError {
        do throws(RuntimeError) {
            try keep(capabilities)
        } catch {
            return error
        }
        var words = (CommandLine.arguments + ["--confined"]).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        baton_signals_hold()
        execv(ChildProcess.thisBinary, &words)
        return .system("cannot start anew without privileges")
    }

    private static func keep(_ capabilities: [CInt]) throws(RuntimeError) {
        let result = baton_keep_capabilities(capabilities, CInt(capabilities.count))
        guard result == 0 else {
            throw RuntimeError(.system, "cannot give up privileges: \(String(cString: strerror(-result)))")
        }
    }
}
