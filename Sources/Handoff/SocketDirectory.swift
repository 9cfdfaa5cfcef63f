internal import Libc

/// The place of a listener's socket: who may reach it.
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
        self.init(status)
    }

    init?(of descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }

    private init(_ status: stat) {
        device = UInt(status.st_dev)
        number = UInt(status.st_ino)
    }
}
