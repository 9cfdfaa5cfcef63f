internal import BatonConfiguration
internal import Libc

/// What stands against the requirements of a configuration on this machine.
enum Obstacle {
    static func of(_ requirement: Configuration.Requirement) -> String? {
        switch requirement {
        case .readableFile(let path): access(path, R_OK) == 0 ? nil : reason()
        case .appendableFile(let path): file(path)
        case .writableDirectory(let path): directory(path)
        case .user(let name): UInt32(name) != nil || getpwnam(name) != nil ? nil : "does not exist"
        case .group(let name): UInt32(name) != nil || getgrnam(name) != nil ? nil : "does not exist"
        case .memory(let bytes): memory(bytes)
        }
    }

    private static func memory(_ bytes: Int) -> String? {
        let total = SystemMemory.total
        return bytes <= total ? nil : "is more than the \(total >> 20)M that this machine or its cgroup has"
    }

    /// A file that is missing is made when its directory allows it.
    private static func file(_ path: String) -> String? {
        if access(path, W_OK) == 0 { return nil }
        let why = reason()
        guard errno == ENOENT, let slash = path.lastIndex(of: "/") else { return why }
        let directory = slash == path.startIndex ? "/" : String(path[..<slash])
        return access(directory, W_OK | X_OK) == 0 ? nil : "cannot be made: its directory \(reason())"
    }

    /// A directory that is missing is made when its parent allows it.
    private static func directory(_ path: String) -> String? {
        if access(path, W_OK | X_OK) == 0 { return nil }
        let why = reason()
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex,
            access(String(path[..<slash]), W_OK | X_OK) == 0
        else { return why }
        return nil
    }

    private static func reason() -> String {
        switch errno {
        case ENOENT: "does not exist"
        case EACCES: "may not be used by this user"
        default: "cannot be used: \(String(cString: strerror(errno)))"
        }
    }
}
