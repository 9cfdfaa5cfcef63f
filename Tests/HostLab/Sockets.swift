package import BatonCore
internal import CNamespaces
package import Glibc
package import HostMigration

/// The service addresses, and blocking TCP with a bound on every wait.
package enum Sockets {
    package static let service: [IPAddress.Family: IPAddress] = [
        .ipv4: IPAddress("192.0.2.100")!, .ipv6: IPAddress("2001:db8::100")!,
    ]

    /// Long enough for any machine; a test that waits so long has failed.
    static let patience = timeval(tv_sec: 30, tv_usec: 0)

    /// Listens on the service address; a dual-stack listener on every address, with an IPv6 socket.
    package static func listen(
        _ family: IPAddress.Family, port: UInt16, mss: Int32? = nil, isDualStack: Bool = false
    ) throws -> Int32 {
        let fd = socket(isDualStack ? AF_INET6 : family.number, Int32(SOCK_STREAM.rawValue), 0)
        try check(fd, "socket")
        set(fd, SOL_SOCKET, SO_REUSEADDR, 1)
        if isDualStack { set(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
        if let mss { set(fd, Int32(IPPROTO_TCP), TCP_MAXSEG, mss) }
        let address = isDualStack ? IPAddress("::")! : service[family]!
        try check(withAddress(address, port) { bind(fd, $0, $1) }, "bind")
        try check(Glibc.listen(fd, 64), "listen")
        return fd
    }

    package static func accept(_ listener: Int32) throws -> Int32 {
        var request = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        guard poll(&request, 1, 60_000) == 1 else { throw LabError("accept") }
        let fd = Glibc.accept(listener, nil, nil)
        try check(fd, "accept")
        return fd
    }

    package static func connect(_ family: IPAddress.Family, port: UInt16, receiveBuffer: Int32? = nil) throws -> Int32 {
        let fd = socket(family.number, Int32(SOCK_STREAM.rawValue), 0)
        try check(fd, "socket")
        set(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        if let receiveBuffer { set(fd, SOL_SOCKET, SO_RCVBUF, receiveBuffer) }
        var limit = patience
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        try check(withAddress(service[family]!, port) { Glibc.connect(fd, $0, $1) }, "connect")
        return fd
    }

    package static func set(_ fd: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        setsockopt(fd, level, name, &value, 4)
    }

    package static func get(_ fd: Int32, _ level: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = -1
        var size: socklen_t = 4
        getsockopt(fd, level, name, &value, &size)
        return value
    }

    package static func writeAll(_ fd: Int32, _ bytes: [UInt8]) throws {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(fd, $0.baseAddress! + offset, bytes.count - offset, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw LabError("send") }
            offset += count
        }
    }

    /// Reads exactly `count` bytes.
    package static func readExactly(_ fd: Int32, _ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var offset = 0
        while offset < count {
            let got = bytes.withUnsafeMutableBytes { recv(fd, $0.baseAddress! + offset, count - offset, 0) }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { throw LabError("recv after \(offset) of \(count) bytes, result \(got)") }
            offset += got
        }
        return bytes
    }

    /// Reads to the end of the stream.
    package static func readToEnd(_ fd: Int32, _ body: (ArraySlice<UInt8>) -> Void) throws {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let got = recv(fd, &buffer, buffer.count, 0)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw LabError("recv") }
            if got == 0 { return }
            body(buffer[..<got])
        }
    }

    /// Signs what goes to the peer (RFC 2385). The connection with another peer goes on.
    package static func signWithMD5(_ fd: Int32, peer: IPAddress) throws {
        try check(lab_sign_with_md5(fd, peer.octets), "TCP_MD5SIG")
    }

    /// Waits until the descriptor is readable, or at its end.
    package static func waitReadable(_ fd: Int32) throws {
        var request = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        guard poll(&request, 1, 60_000) == 1 else { throw LabError("poll") }
    }

    /// Bytes received and not read, as far as they fit into a megabyte.
    package static func unread(_ fd: Int32) -> Int {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        return recv(fd, &buffer, buffer.count, Int32(MSG_PEEK | MSG_DONTWAIT))
    }

    package static func state(_ fd: Int32) -> TCPState? {
        information(fd).flatMap { TCPState(rawValue: $0.tcpi_state) }
    }

    /// TCP_INFO.
    package static func information(_ fd: Int32) -> tcp_info? {
        var info = tcp_info()
        var size = socklen_t(MemoryLayout<tcp_info>.size)
        guard getsockopt(fd, Int32(IPPROTO_TCP), TCP_INFO, &info, &size) == 0 else { return nil }
        return info
    }

    /// Waits, awake, until the kernel reports the state: no descriptor becomes ready for these changes.
    package static func wait(_ fd: Int32, until reached: TCPState) throws {
        try wait("state \(reached)") { state(fd) == reached }
    }

    package static func wait(_ what: String, until condition: () -> Bool) throws {
        let end = ContinuousClock.now + .seconds(30)
        while !condition() {
            guard ContinuousClock.now < end else { throw LabError("waiting for \(what)") }
            sched_yield()
        }
    }

    private static func check(_ result: Int32, _ call: String) throws {
        guard result >= 0 else { throw LabError(call) }
    }

    private static func withAddress(
        _ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        if address.family == .ipv4 {
            var target = sockaddr_in()
            target.sin_family = sa_family_t(AF_INET)
            target.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &target.sin_addr) { $0.copyBytes(from: address.octets) }
            return withUnsafeBytes(of: target) { $0.withMemoryRebound(to: sockaddr.self) { body($0.baseAddress!, 16) } }
        }
        var target = sockaddr_in6()
        target.sin6_family = sa_family_t(AF_INET6)
        target.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &target.sin6_addr) { $0.copyBytes(from: address.octets) }
        return withUnsafeBytes(of: target) { $0.withMemoryRebound(to: sockaddr.self) { body($0.baseAddress!, 28) } }
    }
}
