internal import CLinuxSockets
internal import Glibc

/// The place of a listener's socket: who may reach it, and whether somebody listens there.
enum SocketDirectory {
    /// Makes the directory of `path` if it is missing, with mode 0700, and sees that nobody else may enter it.
    static func check(of path: String, trusting users: TrustedUsers) throws(HandoffError) {
        let directory = parent(of: path)
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw .system("cannot make the directory \(directory)", -errno)
        }
        var status = stat()
        guard lstat(directory, &status) == 0 else { throw .system("cannot look at the directory \(directory)", -errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw HandoffError(.unsafeDirectory, "\(directory) is not a directory; choose another path")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw HandoffError(
                .unsafeDirectory, "other users may enter \(directory); set its mode to 0700 or choose another")
        }
        guard users.contain(status.st_uid) else {
            throw HandoffError(
                .unsafeDirectory, "\(directory) belongs to user \(status.st_uid), who is not trusted; choose another")
        }
    }

    /// Takes the lock that whoever listens at `path` holds for as long as it lives.
    static func lock(_ path: String) throws(HandoffError) -> Int32 {
        let name = path + ".lock"
        let lock = open(name, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw .system("cannot open the lock file \(name)", -errno) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let error = errno
            Glibc.close(lock)
            guard error == EWOULDBLOCK else { throw .system("cannot lock \(name)", -error) }
            throw inUse(path)
        }
        return lock
    }

    /// Removes a socket nobody listens at. The caller holds the lock, so nobody of ours begins to listen meanwhile.
    static func removeStale(_ path: String) throws(HandoffError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw HandoffError(.pathInUse, "\(path) is a file but no socket; remove it or choose another path")
        }
        // Whoever listens there without the lock is no HandoffListener, but alive.
        let result = baton_connect_seqpacket(path, 0)
        if result >= 0 { Glibc.close(result) }
        guard -result == ECONNREFUSED else { throw inUse(path) }
        guard unlink(path) == 0 || errno == ENOENT else { throw .system("cannot remove the stale \(path)", -errno) }
    }

    private static func inUse(_ path: String) -> HandoffError {
        HandoffError(.pathInUse, "another process listens at \(path); stop it or choose another path")
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

/// A file, whatever its name.
struct FileNode: Equatable {
    private var device: UInt = 0
    private var number: UInt = 0

    init() {}

    init?(at path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        device = UInt(status.st_dev)
        number = UInt(status.st_ino)
    }
}
