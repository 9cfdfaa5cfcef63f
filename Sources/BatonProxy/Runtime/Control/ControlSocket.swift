internal import Glibc

/// The socket of `baton status` and the like, and the lock that tells a live server from a stale path. Both are handed
/// on in an upgrade, so the path answers at every moment.
struct ControlSocket: Sendable {
    let path: String
    let descriptor: CInt
    let lock: CInt
    /// Whether this server has made the directory the socket is in.
    private var hasMadeDirectory = false

    init(path: String, descriptor: CInt, lock: CInt) {
        self.path = path
        self.descriptor = descriptor
        self.lock = lock
    }

    /// Takes the path. A socket whose server is gone is replaced.
    static func open(_ path: String) throws(RuntimeError) -> ControlSocket {
        let directory = directory(of: path)
        let hasMadeDirectory = mkdir(directory, 0o700) == 0
        if !hasMadeDirectory, errno != EEXIST { throw .system("cannot make the directory \(directory)") }
        let lock = Glibc.open(path + ".lock", O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw .system("cannot open the lock file \(path).lock") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0, !UnixSocket.answers(path) else {
            close(lock)
            throw RuntimeError(
                .alreadyRunning,
                "another server uses the control socket \(path); stop it or give --control another path")
        }
        unlink(path)
        do throws(RuntimeError) {
            var socket = ControlSocket(path: path, descriptor: try UnixSocket.listen(path), lock: lock)
            socket.hasMadeDirectory = hasMadeDirectory
            return socket
        } catch {
            close(lock)
            throw error
        }
    }

    /// Gives what is at the path to another user, whom this process is about to become: the socket, its lock, and the
    /// directory in which the server's processes meet, which is made. None of them is followed if it is a link.
    func handOver(to account: Account) throws(RuntimeError) {
        guard lchown(path, account.user, account.group) == 0, fchown(lock, account.user, account.group) == 0 else {
            throw .system("cannot give the control socket \(path) to user \(account.user)")
        }
        if hasMadeDirectory { try Self.give(Self.directory(of: path), to: account) }
        let directory = Self.runtimeDirectory(path)
        if mkdir(directory, 0o700) != 0, errno != EEXIST { throw .system("cannot make the directory \(directory)") }
        try Self.give(directory, to: account)
    }

    private static func give(_ directory: String, to account: Account) throws(RuntimeError) {
        let descriptor = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
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
    func remove() {
        unlink(path)
        unlink(path + ".lock")
    }

    /// Where the server's processes meet. HandoffListener makes it with mode 0700.
    static func runtimeDirectory(_ path: String) -> String { path + ".d" }
}
