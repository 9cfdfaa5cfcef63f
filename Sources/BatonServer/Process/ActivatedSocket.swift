internal import Libc

/// A listening socket that the service manager has opened for this process (sd_listen_fds(3)).
struct ActivatedSocket: Sendable {
    /// `FileDescriptorName=`, which unless it is set is the unit's name.
    let name: String
    let descriptor: CInt
    /// Where it listens.
    let place: ListeningPlace
    /// Whether this server itself has bound it, before it gave up its privileges.
    let isOwn: Bool

    init(name: String, descriptor: CInt, place: ListeningPlace, isOwn: Bool) {
        self.name = name
        self.descriptor = descriptor
        self.place = place
        self.isOwn = isOwn
    }

    /// From another process of this server; `nil` if it listens nowhere.
    init?(passedAs name: String, _ descriptor: CInt) {
        guard let place = ListeningPlace(of: descriptor) else { return nil }
        let isOwn = name.hasPrefix(Self.ownPrefix)
        self.init(
            name: isOwn ? String(name.dropFirst(Self.ownPrefix.count)) : name, descriptor: descriptor, place: place,
            isOwn: isOwn)
    }

    /// For another process of this server.
    var passedName: String { isOwn ? Self.ownPrefix + name : name }

    /// Before the names of sockets that a server passes on to itself. No listener's name has a slash.
    static let ownPrefix = "own/"

    private static let firstDescriptor: CInt = 3
    private static let most = 1_024

    /// Takes all of them. What the environment says of them is removed, so that no process started later takes it for
    /// its own.
    ///
    /// - Throws: `configuration` for a descriptor that is no listening stream socket.
    static func takeAll() throws(RuntimeError) -> [ActivatedSocket] {
        defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) } }
        guard let process = getenv("LISTEN_PID").flatMap({ Int32(String(cString: $0)) }), process == getpid(),
            let count = getenv("LISTEN_FDS").flatMap({ Int(String(cString: $0)) }), (1...most).contains(count)
        else { return [] }
        let names = getenv("LISTEN_FDNAMES").map {
            String(cString: $0).split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        }
        var sockets: [ActivatedSocket] = []
        for index in 0..<count {
            let descriptor = firstDescriptor + CInt(index)
            let name = names.flatMap { $0.indices.contains(index) ? $0[index] : nil } ?? "unknown"
            guard option(SO_ACCEPTCONN, of: descriptor) == 1,
                option(SO_TYPE, of: descriptor) == SocketKind.stream,
                let place = ListeningPlace(of: descriptor),
                fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0,
                fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK) == 0
            else {
                throw RuntimeError(
                    .configuration,
                    "the service manager's socket '\(name)' is no listening stream socket; use ListenStream= and Accept=no"
                )
            }
            let isOwn = name.hasPrefix(ownPrefix)
            sockets.append(
                ActivatedSocket(
                    name: isOwn ? String(name.dropFirst(ownPrefix.count)) : name, descriptor: descriptor, place: place,
                    isOwn: isOwn))
        }
        return sockets
    }

    private static func option(_ name: CInt, of descriptor: CInt) -> CInt? {
        var value: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        return getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 ? value : nil
    }
}
