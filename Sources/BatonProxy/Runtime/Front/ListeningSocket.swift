internal import Glibc

/// A bound and listening socket, made here so that it can be handed to a successor under a name.
struct ListeningSocket: Sendable {
    let name: String
    let address: Address
    let descriptor: CInt

    private static let backlog: CInt = 4096

    /// - Parameter sharesPort: whether another process of this user may listen there, too (SO_REUSEPORT).
    static func open(
        _ name: String, _ address: Address, sharesPort: Bool = false
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
            .cannotListen, "listeners.\(name) cannot listen at \(address): \(String(cString: strerror(code)))\(hint)")
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
            return [v6(.v6(high: 0, low: 0), port, isDualStack: true), v4(0, port)]
        case .tcp(.ip(.v4(let bits)), let port): return [v4(bits, port)]
        case .tcp(.ip(let ip), let port): return [v6(ip, port)]
        case .tcp(.name(let name), let port):
            var hints = addrinfo()
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            hints.ai_flags = AI_PASSIVE
            var list: UnsafeMutablePointer<addrinfo>?
            guard getaddrinfo(name, "\(port)", &hints, &list) == 0, let list else {
                throw RuntimeError(
                    .cannotListen, "the host name \(name) cannot be resolved; give an address to listen at")
            }
            defer { freeaddrinfo(list) }
            return sequence(first: list, next: { $0.pointee.ai_next }).map { entry in
                Candidate(
                    family: entry.pointee.ai_family,
                    bytes: Array(
                        UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen))))
            }
        }
    }

    private static func v4(_ bits: UInt32, _ port: UInt16) -> Candidate {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = bits.bigEndian
        return Candidate(family: AF_INET, bytes: withUnsafeBytes(of: address) { Array($0) })
    }

    private static func v6(_ ip: IPAddress, _ port: UInt16, isDualStack: Bool = false) -> Candidate {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: ip.octets) }
        return Candidate(
            family: AF_INET6, bytes: withUnsafeBytes(of: address) { Array($0) }, isDualStack: isDualStack)
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
        let endpoint = withUnsafePointer(to: &storage) { pointer -> Endpoint? in
            switch CInt(pointer.pointee.ss_family) {
            case AF_INET:
                return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    Endpoint(
                        .v4(UInt32(bigEndian: $0.pointee.sin_addr.s_addr)), port: UInt16(bigEndian: $0.pointee.sin_port)
                    )
                }
            case AF_INET6:
                return pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
                    withUnsafeBytes(of: address.pointee.sin6_addr) { bytes in
                        Endpoint(
                            .v6(
                                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))),
                            port: UInt16(bigEndian: address.pointee.sin6_port))
                    }
                }
            default: return nil
            }
        }
        guard let endpoint else { return nil }
        self = endpoint
    }
}
