internal import CLinuxSockets
// `stat` belongs to whichever C module was loaded first.
internal import CoreFoundation
internal import Glibc

/// The socket of `baton status` and the like, and the lock that tells a live server from a stale path. Both are handed
/// on in an upgrade, so the path answers at every moment.
struct ControlSocket: Sendable {
    let path: String
    let descriptor: CInt
    let lock: CInt
    /// Takes the path. A socket whose server is gone is replaced.
    static func open(_ path: String) throws(RuntimeError) -> ControlSocket {
        let directory = directory(of: path)
        if mkdir(directory, 0o700) != 0, errno != EEXIST { throw .system("cannot make the directory \(directory)") }
        let lock = Glibc.open(path + ".lock", O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw .system("cannot open the lock file \(path).lock") }
        do throws(RuntimeError) {
            try checkLock(lock, of: path)
            guard flock(lock, LOCK_EX | LOCK_NB) == 0, !UnixSocket.isSocket(path) || !UnixSocket.answers(path) else {
                throw RuntimeError(
                    .alreadyRunning,
                    "another server uses the control socket \(path); stop it or give --control another path")
            }
            try makeRoom(path)
            return ControlSocket(path: path, descriptor: try UnixSocket.listen(path), lock: lock)
        } catch {
            close(lock)
            throw error
        }
    }

    /// A socket is removed; a file that somebody else has put there is not.
    private static func makeRoom(_ path: String) throws(RuntimeError) {
        var status = baton_file_status()
        guard baton_file_at(path, 0, &status) == 0 else { return }
        guard status.kind == S_IFSOCK else {
            throw RuntimeError(
                .cannotListen, "control: \(path) is a file that is no socket; give --control another path, or move it")
        }
        unlink(path)
    }

    /// A lock of ours is an empty file. It goes with the last server, so that it must not be anybody else's.
    private static func checkLock(_ lock: CInt, of path: String) throws(RuntimeError) {
        var status = baton_file_status()
        guard baton_file_of(lock, &status) == 0, status.kind == S_IFREG, status.size == 0 else {
            throw RuntimeError(
                .cannotListen,
                "control: \(path).lock is a file that is no lock; give --control another path, or move it")
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
        let lock = Glibc.open(path + ".lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC)
        guard lock >= 0 else { return }
        defer { close(lock) }
        var status = baton_file_status()
        guard baton_file_of(lock, &status) == 0, status.kind == S_IFREG, status.links == 1,
            fchown(lock, account.user, account.group) == 0
        else { throw .system("cannot give the lock file \(path).lock to user \(account.user)") }
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
        if UnixSocket.isSocket(path) { unlink(path) }
        var held = baton_file_status()
        var there = baton_file_status()
        guard baton_file_of(lock, &held) == 0, baton_file_at(path + ".lock", 0, &there) == 0,
            held.device == there.device,
            held.file == there.file
        else { return }
        unlink(path + ".lock")
    }

    /// Where the server's processes meet. HandoffListener makes it with mode 0700.
    static func runtimeDirectory(_ path: String) -> String { path + ".d" }
}
