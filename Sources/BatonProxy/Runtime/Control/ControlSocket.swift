internal import Glibc

/// The socket of `baton status` and the like, and the lock that tells a live server from a stale path. Both are handed
/// on in an upgrade, so the path answers at every moment.
struct ControlSocket: Sendable {
    let path: String
    let descriptor: CInt
    let lock: CInt

    /// Takes the path. A socket whose server is gone is replaced.
    static func open(_ path: String) throws(RuntimeError) -> ControlSocket {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        if mkdir(directory, 0o700) != 0, errno != EEXIST { throw .system("cannot make the directory \(directory)") }
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
            return ControlSocket(path: path, descriptor: try UnixSocket.listen(path), lock: lock)
        } catch {
            close(lock)
            throw error
        }
    }

    /// The end of the last server of the line.
    func remove() {
        unlink(path)
        unlink(path + ".lock")
    }

    /// Where the server's processes meet. HandoffListener makes it with mode 0700.
    static func runtimeDirectory(_ path: String) -> String { path + ".d" }
}
