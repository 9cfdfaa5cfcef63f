internal import CLinuxSockets
internal import Glibc

/// The user and group that a server becomes.
struct Account: Sendable, Equatable {
    let user: uid_t
    let group: gid_t
    /// For the supplementary groups; `nil` for a number without an account.
    let name: String?

    /// Finds the account.
    ///
    /// - Parameters:
    ///   - user: a name or a number.
    ///   - group: a name or a number; `nil`: the user's own.
    /// - Throws: `configuration` if there is none, or if it is root's.
    init(user: String, group: String?) throws(RuntimeError) {
        let entry = (uid_t(user).flatMap { getpwuid($0) } ?? getpwnam(user))?.pointee
        guard let id = entry?.pw_uid ?? uid_t(user) else {
            throw RuntimeError(.configuration, "user: there is no user \(user); give one that exists")
        }
        guard id != 0 else {
            throw RuntimeError(.configuration, "user: \(user) keeps every privilege; give another or leave user out")
        }
        let groupID: gid_t?
        if let group {
            groupID = gid_t(group) ?? getgrnam(group)?.pointee.gr_gid
        } else {
            groupID = entry?.pw_gid
        }
        guard let groupID else {
            throw RuntimeError(.configuration, "group: user \(user) needs a group that exists; set group")
        }
        self.user = id
        self.group = groupID
        name = entry.map { String(cString: $0.pw_name) }
    }

    /// Whether this process is it already, as one that its predecessor has started.
    var isCurrent: Bool { geteuid() == user && getuid() == user && getegid() == group && getgid() == group }

    /// Becomes it, and starts this program anew with the listening sockets, as a service manager would start it: the same
    /// process, with nothing of root's left in any thread.
    ///
    /// - Parameter sockets: with the names by which `ActivatedSocket` finds them.
    /// - Throws: `system`; the process must not go on then. It never returns.
    func becomeAndRestart(with sockets: [(name: String, descriptor: CInt)]) throws(RuntimeError) -> Never {
        setenv("LISTEN_PID", "\(getpid())", 1)
        setenv("LISTEN_FDS", "\(sockets.count)", 1)
        setenv("LISTEN_FDNAMES", sockets.map(\.name).joined(separator: ":"), 1)
        let result = name.map { baton_become(user, group, $0) } ?? baton_become(user, group, nil)
        guard result == 0 else {
            errno = -result
            throw .system("cannot become user \(name ?? "\(user)") with group \(group)")
        }
        var words = CommandLine.arguments.map { strdup($0) } + [nil]
        let descriptors = sockets.map(\.descriptor)
        errno = -baton_execute(BinaryPath.atStart, &words, descriptors, CInt(descriptors.count))
        throw .system("cannot start \(BinaryPath.atStart) as user \(name ?? "\(user)")")
    }
}
