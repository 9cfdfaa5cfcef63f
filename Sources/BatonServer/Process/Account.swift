internal import CLinuxSockets
internal import Libc

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

    /// Becomes it, in this thread. The program must be executed anew then: see `ProgramRestart`.
    ///
    /// - Throws: `system`; the process must not go on then.
    func become() throws(RuntimeError) {
        let result = name.map { baton_become(user, group, $0) } ?? baton_become(user, group, nil)
        guard result == 0 else {
            errno = -result
            throw .system("cannot become user \(name ?? "\(user)") with group \(group)")
        }
    }
}
