internal import CLinuxSockets
internal import Libc

/// This program, executed anew in the same process, with nothing of a privilege left in any thread.
struct ProgramRestart {
    /// Passed on as a service manager would, with the names by which `ActivatedSocket` finds them.
    var sockets: [(name: String, descriptor: CInt)] = []
    /// The link to the keeper of the privileged process, if there is one.
    var privileges: CInt?
    /// A front's link to its keeper, which stays where it is.
    var keeperLink: CInt?

    /// Gives up what only the privileged process needs if that has a keeper, becomes the account if there is one, and starts
    /// anew.
    ///
    /// - Throws: `system`; the process must not go on then. It never returns.
    func run(as account: Account?) throws(RuntimeError) -> Never {
        var descriptors = [keeperLink].compactMap { $0 } + sockets.map(\.descriptor)
        if !sockets.isEmpty {
            setenv("LISTEN_PID", "\(getpid())", 1)
            setenv("LISTEN_FDS", "\(sockets.count)", 1)
            setenv("LISTEN_FDNAMES", sockets.map(\.name).joined(separator: ":"), 1)
        }
        if let privileges {
            PrivilegeLink.leave(3 + CInt(descriptors.count))
            descriptors.append(privileges)
            try NetworkMain.surrender()
        }
        try account?.become()
        var words = CommandLine.arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        // By its path where that still leads to it: the kernel names a process after what was executed.
        let file = BinaryPath.isRunning(BinaryPath.atStart) ? BinaryPath.atStart : ChildProcess.thisBinary
        errno = -baton_execute(file, &words, descriptors, CInt(descriptors.count))
        throw .system("cannot start \(file) anew")
    }
}
