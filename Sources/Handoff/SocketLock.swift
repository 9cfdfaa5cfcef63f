internal import CLinuxSockets
internal import Libc

/// The right to listen at a Unix socket: a lock on the file `<path>.lock` beside it, which one process holds at a time.
///
/// A Unix socket stays in the file system when its process is killed. bind(2) then fails with EADDRINUSE, as it does while a server
/// lives, and to remove the socket and bind again takes the place of a living server away. Whoever holds the lock knows: the
/// kernel frees it with its holder, however that ends.
///
/// ```swift
/// let lock = try SocketLock(beside: path)      // refused while another process serves there
/// try lock.removeStaleSocket()
/// // Bind and listen at the path, and hold the lock for as long as it is served.
/// ```
///
/// It is flock(2)'s exclusive lock, so programs in any language take part. What it does not do: it does not wait, does not
/// listen, and does not look who may enter the directory; choose one in which only the server's user may write.
public final class SocketLock: Sendable {
    /// How often the lock file may be removed by who held it, in the moment in which it is asked for.
    private static let attempts = 100

    /// Of the socket.
    public let path: String

    /// Of the lock file, closed on exec. The lock is held until the last duplicate of it is closed: a successor that is given one
    /// goes on with the lock, and nobody else gets it in between. Do not close this one.
    public let descriptor: Int32

    /// Takes the lock beside the socket at `path`, or fails at once.
    ///
    /// - Throws: `HandoffError`: `pathInUse` if another process holds it; `foreignFile` if something else than a lock lies there;
    ///   `system` if the kernel refuses, for example because the directory is missing.
    public init(beside path: String) throws(HandoffError) {
        self.path = path
        for _ in 0..<Self.attempts {
            if let descriptor = try Self.tryToLock(path) {
                self.descriptor = descriptor
                return
            }
        }
        throw .inUse(path)
    }

    /// Goes on with the lock that another process has taken, and has handed a duplicate of.
    ///
    /// - Parameter descriptor: this process's; this object's from now on.
    public init(adopting descriptor: Int32, beside path: String) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { Libc.close(descriptor) }

    private static func fileName(_ path: String) -> String { path + ".lock" }

    /// `nil`: it has been removed in this moment, and there may be another by now.
    private static func tryToLock(_ path: String) throws(HandoffError) -> Int32? {
        let name = fileName(path)
        let descriptor = open(name, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .system("cannot open the lock file \(name)", -errno) }
        do throws(HandoffError) {
            var status = stat()
            // A lock of ours is an empty file. It may be removed one day, so that it must not be anybody else's.
            guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size == 0 else {
                throw HandoffError(
                    .foreignFile, "\(name) is a file that is no lock; move it, or choose another path")
            }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let error = errno
                throw error == EWOULDBLOCK ? .inUse(path) : .system("cannot lock \(name)", -error)
            }
        } catch {
            Libc.close(descriptor)
            throw error
        }
        if FileNode(of: descriptor) == FileNode(at: name) { return descriptor }
        Libc.close(descriptor)
        return nil
    }

    /// Removes the socket at the path if its process is gone.
    ///
    /// - Throws: `HandoffError`: `pathInUse` if somebody listens there who knows nothing of the lock; `foreignFile` if it is no
    ///   socket, which is never removed; `system`.
    public func removeStaleSocket() throws(HandoffError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw HandoffError(.foreignFile, "\(path) is a file that is no socket; move it, or choose another path")
        }
        // Only this refusal proves that nobody is there. A socket of another kind refuses in other words, and one whose queue is full.
        let result = baton_connect_seqpacket(path, 0)
        if result >= 0 { Libc.close(result) }
        if -result == ENOENT { return }
        guard -result == ECONNREFUSED else {
            if result >= 0 || [EPROTOTYPE, EAGAIN].contains(-result) { throw .inUse(path) }
            throw .system("cannot tell whether another process listens at \(path)", result)
        }
        guard unlink(path) == 0 || errno == ENOENT else { throw .system("cannot remove the stale \(path)", -errno) }
    }

    /// Removes the socket and the lock file, when the path is served no more and the lock is about to be let go. Not needed: what
    /// stays behind is taken over. Where the lock file has been removed already nothing is: another process may have the path.
    public func removeFiles() {
        guard isInPlace else { return }
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { unlink(path) }
        unlink(Self.fileName(path))
    }

    /// Whether the lock at the path is this one.
    private var isInPlace: Bool {
        guard let node = FileNode(of: descriptor) else { return false }
        return node == FileNode(at: Self.fileName(path))
    }
}

extension HandoffError {
    static func inUse(_ path: String) -> HandoffError {
        HandoffError(.pathInUse, "another process listens at \(path); stop it or choose another path")
    }
}
