internal import BatonConfiguration
internal import BatonCore
internal import Libc

/// Where a stream socket listens. This, and not the name a configuration has for it, tells one socket from another.
enum ListeningPlace: Hashable, Sendable {
    /// - Parameters:
    ///   - scope: the index of the interface of a link-local address, otherwise 0.
    ///   - isDualStack: whether the address is `::`, and IPv4 is listened to as well.
    case tcp(IPAddress, scope: UInt32, port: UInt16, isDualStack: Bool)
    case unix(path: String)
    /// A Unix socket without a file.
    case abstract([UInt8])
}

extension ListeningPlace {
    private static let anyV6 = IPAddress.v6(high: 0, low: 0)
    private static let anyV4 = IPAddress.v4(0)

    /// Every address of this machine, of both families.
    static func everywhere(port: UInt16) -> ListeningPlace { .tcp(anyV6, scope: 0, port: port, isDualStack: true) }
    /// Every IPv4 address of this machine.
    static func everywhereV4(port: UInt16) -> ListeningPlace { .tcp(anyV4, scope: 0, port: port, isDualStack: false) }

    /// What getsockname(2) says of a socket.
    init?(of descriptor: CInt) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard result == 0 else { return nil }
        self.init(storage, length: Int(length))
        guard case .tcp(Self.anyV6, _, let port, _) = self else { return }
        var only: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        getsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &only, &size)
        self = .tcp(Self.anyV6, scope: 0, port: port, isDualStack: only == 0)
    }

    /// The place of a socket address.
    init?(_ storage: sockaddr_storage, length: Int) {
        // Of the two Internet families: family, port and address; and of IPv6 the flow label before the address, the scope
        // behind it.
        let bytes = withUnsafeBytes(of: storage) { Array($0.prefix(length)) }
        func number<N: FixedWidthInteger>(_ offset: Int, _: N.Type) -> N {
            bytes[offset..<offset + MemoryLayout<N>.size].reduce(0) { $0 << 8 | N($1) }
        }
        switch Int32(storage.ss_family) {
        case AF_INET where length >= 16:
            self = .tcp(
                .v4(number(4, UInt32.self)), scope: 0, port: number(2, UInt16.self), isDualStack: false)
        case AF_INET6 where length >= 28:
            let ip = IPAddress.v6(high: number(8, UInt64.self), low: number(16, UInt64.self))
            self = .tcp(
                ip.unmapped, scope: UInt32(bigEndian: number(24, UInt32.self)), port: number(2, UInt16.self),
                isDualStack: false)
        case AF_UNIX:
            let name = bytes.dropFirst(MemoryLayout<sa_family_t>.size)
            guard let first = name.first else { return nil }
            self =
                first == 0
                ? .abstract(Array(name.dropFirst()))
                : .unix(path: String(decoding: name.prefix { $0 != 0 }, as: UTF8.self))
        default: return nil
        }
    }

    /// Whether a socket here and one there would have connections in common, so that the kernel lets both listen only if
    /// both share their port.
    func overlaps(_ other: ListeningPlace) -> Bool {
        switch (self, other) {
        case (
            .tcp(let ip, let scope, let port, let isDual),
            .tcp(let otherIP, let otherScope, let otherPort, let otherIsDual)
        ):
            guard port == otherPort, port != 0 else { return false }
            switch (ip, otherIP) {
            case (.v4, .v4): return ip == otherIP || ip == Self.anyV4 || otherIP == Self.anyV4
            case (.v6, .v6):
                return (ip == otherIP && scope == otherScope) || ip == Self.anyV6 || otherIP == Self.anyV6
            case (.v6, .v4): return isDual
            case (.v4, .v6): return otherIsDual
            }
        default: return self == other
        }
    }

    /// Whether it is every address of a family.
    var isEverywhere: Bool {
        if case .tcp(let ip, _, _, _) = self { ip == Self.anyV6 || ip == Self.anyV4 } else { false }
    }

    /// The same with another port.
    func with(port: UInt16) -> ListeningPlace {
        guard case .tcp(let ip, let scope, _, let isDualStack) = self else { return self }
        return .tcp(ip, scope: scope, port: port, isDualStack: isDualStack)
    }

    /// The TCP port.
    var port: UInt16? { if case .tcp(_, _, let port, _) = self { port } else { nil } }

    var family: CInt {
        switch self {
        case .tcp(.v4, _, _, _): AF_INET
        case .tcp(.v6, _, _, _): AF_INET6
        case .unix, .abstract: AF_UNIX
        }
    }

    /// Calls `body` with the socket address.
    func withSocketAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var bytes: [UInt8] = []
        func append(_ number: some FixedWidthInteger) { withUnsafeBytes(of: number) { bytes += $0 } }
        append(sa_family_t(family))
        switch self {
        case .tcp(.v4(let bits), _, let port, _):
            append(port.bigEndian)
            append(bits.bigEndian)
            append(UInt64(0))
        case .tcp(let ip, let scope, let port, _):
            append(port.bigEndian)
            append(UInt32(0))
            bytes += ip.octets
            append(scope)
        // The length of an abstract name counts; a path ends with NUL.
        case .unix(let path): bytes += Array(path.utf8.prefix(Address.unixPathLimit)) + [0]
        case .abstract(let name): bytes += [0] + name.prefix(Address.unixPathLimit)
        }
        return bytes.withUnsafeBytes { raw in
            raw.withMemoryRebound(to: sockaddr.self) { body($0.baseAddress!, socklen_t(raw.count)) }
        }
    }
}

extension ListeningPlace: CustomStringConvertible {
    /// As a configuration would have it.
    var description: String {
        switch self {
        case .tcp(let ip, let scope, let port, _):
            guard scope != 0 else { return "\(Endpoint(ip, port: port))" }
            var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
            let zone = if_indextoname(scope, &name).map { String(cString: $0) } ?? "\(scope)"
            return "[\(ip)%\(zone)]:\(port)"
        case .unix(let path): return "unix:\(path)"
        case .abstract(let name): return "unix:@" + String(decoding: name, as: UTF8.self)
        }
    }
}
