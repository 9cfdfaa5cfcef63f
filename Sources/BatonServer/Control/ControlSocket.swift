internal import CLinuxSockets
// `stat` belongs to whichever C module was loaded first.
internal import CoreFoundation
internal import Handoff
internal import Libc

/// The socket of `baton status` and the like, and the lock that tells a live server from a stale path. Both are handed
/// on in an upgrade, so the path answers at every moment.
struct ControlSocket: Sendable {
    let path: String
    let descriptor: CInt
    let lock: SocketLock

    /// Takes the path. A socket whose server is gone is replaced.
    static func open(_ path: String) throws(RuntimeError) -> ControlSocket {
        let directory = directory(of: path)
        if mkdir(directory, 0o700) != 0, errno != EEXIST { throw .system("cannot make the directory \(directory)") }
        let lock: SocketLock
        do throws(HandoffError) {
            lock = try SocketLock(beside: path)
            try lock.removeStaleSocket()
        } catch {
            throw refusal(error, path)
        }
        return ControlSocket(path: path, descriptor: try UnixSocket.listen(path), lock: lock)
    }

    /// Whether another process, which may see another file system, finds this socket at a path that leads here, too.
    func isAt(_ other: String) -> Bool {
        var (own, others) = (baton_file_status(), baton_file_status())
        return baton_file_at(path, 1, &own) == 0 && baton_file_at(other, 1, &others) == 0
            && own.device == others.device && own.file == others.file
    }

    private static func refusal(_ error: HandoffError, _ path: String) -> RuntimeError {
        switch error.code {
        case .pathInUse:
            RuntimeError(
                .alreadyRunning,
                "another server uses the control socket \(path); stop it or give --control another path")
        case .foreignFile: RuntimeError(.cannotListen, "control: \(error)")
        default: RuntimeError(.system, "\(error)")
        }
    }

    /// Makes room at the path for a server that will run as another user: the directory of the socket, if it is missing,
    /// the one in which the server's processes meet, and a lock that is left over become that user's. Nothing is followed
    /// that is a link.
    static func prepare(_ path: String, for account: Account) throws(RuntimeError) {
        let directory = directory(of: path)
        if mkdir(directory, 0o700) == 0 {
            try give(directory, to: account)
        } else if errno != EEXIST {
            throw .system("cannot make the directory \(directory)")
        }
        let meeting = runtimeDirectory(path)
        if mkdir(meeting, 0o700) != 0, errno != EEXIST { throw .system("cannot make the directory \(meeting)") }
        try give(meeting, to: account)
        let lock = Libc.open(path + ".lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC)
        guard lock >= 0 else { return }
        defer { close(lock) }
        var status = baton_file_status()
        guard baton_file_of(lock, &status) == 0, status.kind == S_IFREG, status.links == 1,
            fchown(lock, account.user, account.group) == 0
        else { throw .system("cannot give the lock file \(path).lock to user \(account.user)") }
    }

    private static func give(_ directory: String, to account: Account) throws(RuntimeError) {
        let descriptor = Libc.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("cannot open the directory \(directory)") }
        defer { close(descriptor) }
        guard fchown(descriptor, account.user, account.group) == 0, fchmod(descriptor, 0o700) == 0 else {
            throw .system("cannot give the directory \(directory) to user \(account.user)")
        }
    }

    private static func directory(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    /// The end of the last server of the line.
    func remove() { lock.removeFiles() }

    /// Where the server's processes meet. HandoffListener makes it with mode 0700.
    static func runtimeDirectory(_ path: String) -> String { path + ".d" }
}
