internal import Glibc

/// A bound and listening socket, made here so that it can be handed to a successor under a name.
struct ListeningSocket: Sendable {
    let name: String
    let address: Address
    let descriptor: CInt

    private static let backlog: CInt = 4096

    /// - Parameters:
    ///   - key: the configuration's, for messages; `nil` for a listener's.
    ///   - sharesPort: whether another process of this user may listen there, too (SO_REUSEPORT).
    static func open(
        _ name: String, _ address: Address, key: String? = nil, sharesPort: Bool = false
    ) throws(RuntimeError) -> ListeningSocket {
        let candidates = try Self.candidates(address)
        var code: CInt = 0
        for candidate in candidates {
            let descriptor = socket(
                candidate.family,
                Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
            guard descriptor >= 0 else {
                code = errno
                continue
            }
            var on: CInt = 1
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
            if sharesPort {
                setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, socklen_t(MemoryLayout<CInt>.size))
            }
            if candidate.family == AF_INET6 {
                // `:port` listens on every address; a named IPv6 address means only itself.
                var only: CInt = candidate.isDualStack ? 0 : 1
                setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &only, socklen_t(MemoryLayout<CInt>.size))
            }
            let isListening = candidate.bytes.withUnsafeBytes { bytes in
                bytes.withMemoryRebound(to: sockaddr.self) { address in
                    bind(descriptor, address.baseAddress, socklen_t(bytes.count)) == 0
                } && listen(descriptor, backlog) == 0
            }
            if isListening { return ListeningSocket(name: name, address: address, descriptor: descriptor) }
            code = errno
            close(descriptor)
        }
        let hint =
            code == EADDRINUSE
            ? "; another process has it, stop that one or choose another"
            : code == EACCES ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE" : ""
        throw RuntimeError(
            .cannotListen,
            "\(key ?? "listeners.\(name)") cannot listen at \(address): \(String(cString: strerror(code)))\(hint)")
    }

    /// Where it listens, with the port the kernel chose if the configuration left it open.
    var actualAddress: String {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return (result == 0 ? Endpoint(storage).map { "\($0)" } : nil) ?? "\(address)"
    }

    private struct Candidate {
        var family: CInt
        var bytes: [UInt8]
        var isDualStack = false
    }

    private static func candidates(_ address: Address) throws(RuntimeError) -> [Candidate] {
        switch address {
        case .unix(let path):
            unlinkStale(path)
            var unix = sockaddr_un()
            unix.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &unix.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
            return [Candidate(family: AF_UNIX, bytes: withUnsafeBytes(of: unix) { Array($0) })]
        case .tcp(.any, let port):
            return try resolve("::", port, isDualStack: true) + resolve("0.0.0.0", port)
        case .tcp(.ip(let ip), let port): return try resolve("\(ip)", port)
        case .tcp(.name(let name), let port): return try resolve(name, port)
        }
    }

    private static func resolve(
        _ host: String, _ port: UInt16, isDualStack: Bool = false
    ) throws(RuntimeError) -> [Candidate] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &list) == 0, let list else {
            throw RuntimeError(.cannotListen, "the host name \(host) cannot be resolved; give an address to listen at")
        }
        defer { freeaddrinfo(list) }
        return sequence(first: list, next: { $0.pointee.ai_next }).map { entry in
            Candidate(
                family: entry.pointee.ai_family,
                bytes: Array(
                    UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen))),
                isDualStack: isDualStack)
        }
    }

    /// Removes a Unix socket nobody listens at any more.
    static func unlinkStale(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK, !UnixSocket.answers(path) else { return }
        unlink(path)
    }
}

extension Endpoint {
    /// The endpoint of a socket address; `nil` for a Unix socket.
    init?(_ storage: sockaddr_storage) {
        var storage = storage
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var port = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getnameinfo(
                    $0, length, &host, socklen_t(host.count), &port, socklen_t(port.count),
                    NI_NUMERICHOST | NI_NUMERICSERV)
            }
        }
        func text(_ characters: [CChar]) -> String {
            String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        // A link-local address has its zone behind it.
        guard result == 0, storage.ss_family != AF_UNIX, let port = UInt16(text(port)),
            let address = IPAddress(text(host).prefix { $0 != "%" })
        else { return nil }
        self.init(address, port: port)
    }
}
