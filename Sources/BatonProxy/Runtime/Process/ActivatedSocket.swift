internal import Glibc

/// A listening socket that the service manager has opened for this process (sd_listen_fds(3)).
struct ActivatedSocket: Sendable {
    /// `FileDescriptorName=`, which unless it is set is the unit's name.
    let name: String
    let descriptor: CInt
    /// Where it listens.
    let address: Address?

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
                option(SO_TYPE, of: descriptor) == Int32(SOCK_STREAM.rawValue),
                fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0,
                fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK) == 0
            else {
                throw RuntimeError(
                    .configuration,
                    "the service manager's socket '\(name)' is no listening stream socket; use ListenStream= and Accept=no"
                )
            }
            sockets.append(ActivatedSocket(name: name, descriptor: descriptor, address: localAddress(of: descriptor)))
        }
        return sockets
    }

    /// Whether it listens where a listener is configured to.
    func listens(at wanted: Address) -> Bool {
        switch (address, wanted) {
        case (.unix(let path), .unix(let other)): path == other
        case (.tcp(.ip(let ip), let port), .tcp(let host, let wantedPort)):
            switch host {
            case .any: port == wantedPort && (ip == .v4(0) || ip == .v6(high: 0, low: 0))
            case .ip(let other): port == wantedPort && ip.unmapped == other.unmapped
            case .name: false
            }
        default: false
        }
    }

    private static func option(_ name: CInt, of descriptor: CInt) -> CInt? {
        var value: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        return getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 ? value : nil
    }

    private static func localAddress(of descriptor: CInt) -> Address? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard result == 0 else { return nil }
        if storage.ss_family == AF_UNIX {
            let path = withUnsafeBytes(of: &storage) { bytes in
                bytes.prefix(Int(length)).dropFirst(MemoryLayout<sa_family_t>.size).prefix { $0 != 0 }.map { $0 }
            }
            return path.isEmpty ? nil : .unix(path: String(decoding: path, as: UTF8.self))
        }
        return Endpoint(storage).map { .tcp(.ip($0.address), port: $0.port) }
    }
}
