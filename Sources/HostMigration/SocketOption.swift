import BatonCore
import Libc

/// The integer options of a socket that move with it. Raw values are their numbers on the wire.
enum SocketOption: UInt8, CaseIterable, Sendable {
    case receiveBuffer = 1
    case sendBuffer = 2
    case bufferLock = 3
    case reuseAddress = 4
    case reusePort = 5
    case keepAlive = 6
    case mark = 7
    case priority = 8
    case outOfBandInline = 9
    case receiveLowWater = 10
    case noDelay = 16
    case cork = 17
    case keepIdle = 18
    case keepInterval = 19
    case keepCount = 20
    case linger2 = 21
    case userTimeout = 22
    case notSentLowWater = 23
    case thinLinearTimeouts = 24
    case typeOfService = 32
    case timeToLive = 33
    case pathMTUDiscovery = 34
    case onlyIPv6 = 48
    case trafficClass = 49
    case hopLimit = 50
    case pathMTUDiscovery6 = 51

    /// When an option is given to the socket that is being restored.
    enum Stage {
        /// Before it has an address: what decides its windows and its bind.
        case unbound
        /// When it is connected, and still silent.
        case connected
        /// When it has left repair, which forgets some; and what setting another option changes.
        case live
    }

    var stage: Stage {
        switch self {
        case .receiveBuffer, .sendBuffer, .bufferLock, .onlyIPv6: .unbound
        case .reuseAddress, .reusePort, .cork, .priority: .live
        default: .connected
        }
    }

    var level: Int32 {
        switch rawValue {
        case 1..<16: SOL_SOCKET
        case 16..<32: Int32(IPPROTO_TCP)
        case 32..<48: Int32(IPPROTO_IP)
        default: Int32(IPPROTO_IPV6)
        }
    }

    /// The option's number when read.
    var name: Int32 {
        switch self {
        case .receiveBuffer: SO_RCVBUF
        case .sendBuffer: SO_SNDBUF
        case .bufferLock: 72  // SO_BUF_LOCK (Linux 5.14)
        case .reuseAddress: SO_REUSEADDR
        case .reusePort: SO_REUSEPORT
        case .keepAlive: SO_KEEPALIVE
        case .mark: SO_MARK
        case .priority: SO_PRIORITY
        case .outOfBandInline: SO_OOBINLINE
        case .receiveLowWater: SO_RCVLOWAT
        case .noDelay: TCP_NODELAY
        case .cork: TCP_CORK
        case .keepIdle: TCP_KEEPIDLE
        case .keepInterval: TCP_KEEPINTVL
        case .keepCount: TCP_KEEPCNT
        case .linger2: TCP_LINGER2
        case .userTimeout: TCP_USER_TIMEOUT
        case .notSentLowWater: TCP_NOTSENT_LOWAT
        case .thinLinearTimeouts: TCP_THIN_LINEAR_TIMEOUTS
        case .typeOfService: IP_TOS
        case .timeToLive: IP_TTL
        case .pathMTUDiscovery: IP_MTU_DISCOVER
        case .onlyIPv6: IPV6_V6ONLY
        case .trafficClass: IPV6_TCLASS
        case .hopLimit: IPV6_UNICAST_HOPS
        case .pathMTUDiscovery6: IPV6_MTU_DISCOVER
        }
    }

    /// The option's number when written: buffers may exceed the host's limit, as they did where they come from.
    var nameToSet: Int32 {
        switch self {
        case .receiveBuffer: SO_RCVBUFFORCE
        case .sendBuffer: SO_SNDBUFFORCE
        default: name
        }
    }

    /// The value to write for a value read: the kernel doubles buffer sizes, to count its own overhead (socket(7)).
    func valueToSet(_ value: Int32) -> Int32 {
        self == .receiveBuffer || self == .sendBuffer ? value / 2 : value
    }

    /// Values another host may ask for.
    var range: ClosedRange<Int32> {
        switch self {
        case .receiveBuffer, .sendBuffer: 0...(1 << 30)
        case .mark: Int32.min...Int32.max
        case .linger2, .hopLimit, .trafficClass, .notSentLowWater: -1...Int32.max
        default: 0...Int32.max
        }
    }

    /// Whether a socket of this family has the option.
    func exists(on family: IPAddress.Family) -> Bool {
        level != Int32(IPPROTO_IPV6) || family == .ipv6
    }

    func read(from descriptor: Int32) -> Int32? {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, level, name, &value, &size) == 0, size == 4 else { return nil }
        return value
    }

    func write(_ value: Int32, to descriptor: Int32) -> Bool {
        var value = valueToSet(value)
        return setsockopt(descriptor, level, nameToSet, &value, 4) == 0
    }
}
