import BatonCore
import Glibc
import HostLab
import HostMigration
import Testing

extension LabTests {
    @Suite("The options of a socket")
    struct OptionTests {
        @Test("move with it", arguments: [Shape.plain4, .plain6])
        func move(_ shape: Shape) async throws {
            let tcp = Int32(IPPROTO_TCP)
            var values: [(Int32, Int32, Int32)] = [
                (SOL_SOCKET, SO_KEEPALIVE, 1), (SOL_SOCKET, SO_REUSEADDR, 1), (SOL_SOCKET, SO_MARK, 17),
                (SOL_SOCKET, SO_RCVLOWAT, 2),
                (tcp, TCP_NODELAY, 1), (tcp, TCP_KEEPIDLE, 77), (tcp, TCP_KEEPINTVL, 9), (tcp, TCP_KEEPCNT, 4),
                (tcp, TCP_USER_TIMEOUT, 12_345), (tcp, TCP_NOTSENT_LOWAT, 65_536), (tcp, TCP_LINGER2, 7),
            ]
            switch shape.family {
            case .ipv4:
                values += [(Int32(IPPROTO_IP), IP_TOS, 0x10), (Int32(IPPROTO_IP), IP_TTL, 33)]
            case .ipv6:
                values += [(Int32(IPPROTO_IPV6), IPV6_TCLASS, 0x20), (Int32(IPPROTO_IPV6), IPV6_UNICAST_HOPS, 44)]
            }
            // Last: setting the type of service sets a priority.
            let settings = values + [(SOL_SOCKET, SO_PRIORITY, 3)]
            let mover = try await Mover.shared()
            let pair = try await Pair(shape)
            for (level, name, value) in settings { Sockets.set(pair.server, level, name, value) }
            Sockets.set(pair.server, SOL_SOCKET, SO_RCVBUF, 100_000)
            let buffers = [SO_RCVBUF, SO_SNDBUF, 72].map { Sockets.get(pair.server, SOL_SOCKET, $0) }
            setsockopt(pair.server, tcp, TCP_CONGESTION, "reno", 4)
            var lingering = linger(l_onoff: 1, l_linger: 6)
            setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &lingering, socklen_t(MemoryLayout<linger>.size))
            let arrived = try await mover.moveOne(pair.server, from: .a)
            for (level, name, value) in settings {
                #expect(Sockets.get(arrived, level, name) == value, "level \(level), option \(name)")
            }
            #expect([SO_RCVBUF, SO_SNDBUF, 72].map { Sockets.get(arrived, SOL_SOCKET, $0) } == buffers)
            var name = [CChar](repeating: 0, count: 16)
            var size: socklen_t = 16
            getsockopt(arrived, tcp, TCP_CONGESTION, &name, &size)
            #expect(name.starts(with: "reno".utf8CString))
            size = socklen_t(MemoryLayout<linger>.size)
            lingering = linger()
            getsockopt(arrived, SOL_SOCKET, SO_LINGER, &lingering, &size)
            #expect(lingering.l_onoff == 1 && lingering.l_linger == 6)
            #expect(fcntl(arrived, F_GETFL) & O_NONBLOCK == 0)
            close(pair.client)
            close(arrived)
        }
    }
}
