internal import CLinuxSockets
internal import Glibc
internal import HostMigration

/// `baton serve-network`, the privileged process, which only a front starts.
public enum NetworkMain {
    /// CAP_NET_BIND_SERVICE, to restore connections of ports below 1024; CAP_NET_ADMIN; CAP_NET_RAW.
    private static let capabilities: [CInt] = [10, 12, 13]

    /// Serves over standard input until its other end is gone.
    ///
    /// - Parameters:
    ///   - isRestarted: whether an earlier one with the same standard input has died.
    ///   - isConfined: whether this process has given up all other privileges. If not it does so, and starts anew.
    /// - Throws: `RuntimeError` when standard input is no such socket; `MigrationError`.
    public static func run(
        interfaces: [String], addresses: [String], takeCommand: String?, leaveCommand: String?, isRestarted: Bool,
        isConfined: Bool
    ) throws {
        var kind: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(0, SOL_SOCKET, SO_TYPE, &kind, &length) == 0 else {
            throw RuntimeError(.processFailed, "serve-network is started by baton serve; start that instead")
        }
        guard isConfined else { throw confine(keeping: capabilities) }
        guard capabilities.allSatisfy({ baton_has_capability($0) == 1 }) else {
            throw RuntimeError(
                .system,
                "migration takes CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE; start the server with them")
        }
        let policy = NetworkPolicy(
            interfaces: interfaces, addresses: addresses.compactMap { HostMigration.IPAddress($0) },
            takeCommand: takeCommand, leaveCommand: leaveCommand)
        let descriptor = fcntl(0, F_DUPFD_CLOEXEC, 3)
        // A terminal's or a service manager's word to end is the front's to act upon.
        for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_IGN) }
        try NetworkServer(policy, owning: descriptor).run(isRestarted: isRestarted)
    }

    /// Gives up every privilege but those, and executes this program anew: capabilities belong to threads, and only what is
    /// executed has them on all. Returns only an error.
    static func confine(keeping capabilities: [CInt]) -> RuntimeError {
        let result = baton_keep_capabilities(capabilities, CInt(capabilities.count))
        guard result == 0 else {
            return RuntimeError(.system, "cannot give up privileges: \(String(cString: strerror(-result)))")
        }
        var words = (CommandLine.arguments + ["--confined"]).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        execv(ChildProcess.thisBinary, &words)
        return .system("cannot start anew without privileges")
    }
}
