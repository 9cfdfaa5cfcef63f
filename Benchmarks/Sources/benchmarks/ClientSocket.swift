import Glibc

/// A connected TCP socket that blocks.
final class ClientSocket: Sendable {
    private let descriptor: Int32

    init(_ address: String, port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw BenchmarkError("no socket: errno \(errno); raise ulimit -n?") }
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = port.bigEndian
        place.sin_addr.s_addr = inet_addr(address)
        let result = withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw BenchmarkError("no connection to \(address):\(port): errno \(errno)") }
        // Whoever waits longer than that waits in vain.
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close(descriptor) }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = send(descriptor, rest.base.baseAddress! + rest.startIndex, rest.count, Int32(MSG_NOSIGNAL))
            guard count > 0 else { throw BenchmarkError("a connection broke: errno \(errno)") }
            rest = rest.dropFirst(count)
        }
    }

    /// At least a byte.
    func read(_ space: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = recv(descriptor, space.baseAddress, space.count, 0)
        guard count > 0 else { throw BenchmarkError("a connection ended: errno \(errno)") }
        return count
    }
}
