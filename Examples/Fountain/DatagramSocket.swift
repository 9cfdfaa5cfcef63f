import Glibc
import Handoff

/// A UDP socket on the loopback interface.
struct DatagramSocket {
    /// An IPv4 peer, as the socket knows it.
    struct Peer: Codable, Hashable {
        fileprivate let address: UInt32
        fileprivate let port: UInt16

        /// All of it in one number.
        var word: UInt64 { UInt64(address) << 16 | UInt64(port) }

        /// Whether the other is at the same address, at whatever port.
        func isBeside(_ other: Peer) -> Bool { address == other.address }
    }

    struct Failure: Error {
        let number: Int32
    }

    let descriptor: CInt

    init(adopting descriptor: CInt) { self.descriptor = descriptor }

    init(port: UInt16) throws {
        descriptor = socket(AF_INET, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(number: errno) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let isBound = Self.with(&address) { bind(descriptor, $0, $1) == 0 }
        guard isBound else {
            let number = errno
            close(descriptor)
            throw Failure(number: number)
        }
    }

    var port: UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isKnown = Self.with(&address) { pointer, _ in
            getsockname(descriptor, UnsafeMutablePointer(mutating: pointer), &length) == 0
        }
        return isKnown ? UInt16(bigEndian: address.sin_port) : 0
    }

    /// The next datagram; `nil` if none has come.
    func receive(into buffer: inout [UInt8]) -> (bytes: ArraySlice<UInt8>, peer: Peer)? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &buffer, buffer.count, CInt(MSG_DONTWAIT), $0, &length)
            }
        }
        guard count >= 0 else { return nil }
        return (buffer[..<count], Peer(address: address.sin_addr.s_addr, port: address.sin_port))
    }

    /// - Returns: whether the kernel has taken it. What it does not take is lost like any packet.
    @discardableResult
    func send(_ bytes: [UInt8], to peer: Peer) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = peer.port
        address.sin_addr.s_addr = peer.address
        return Self.with(&address) {
            sendto(descriptor, bytes, bytes.count, CInt(MSG_DONTWAIT), $0, $1) == bytes.count
        }
    }

    private static func with<R>(
        _ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
    ) -> R {
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
