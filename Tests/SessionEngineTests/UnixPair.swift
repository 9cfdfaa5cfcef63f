import Glibc

/// Which of a session's legs are on Unix sockets.
struct UnixLegs: OptionSet {
    let rawValue: Int

    static let client = UnixLegs(rawValue: 1)
    static let upstream = UnixLegs(rawValue: 2)
}

/// Two connected Unix stream sockets that do not block.
enum UnixPair {
    static func make() throws -> (CInt, CInt) {
        var pair: [CInt] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        guard socketpair(AF_UNIX, type, 0, &pair) == 0 else { throw Fault("no socket pair: errno \(errno)") }
        return (pair[0], pair[1])
    }
}
