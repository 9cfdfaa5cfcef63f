import BatonCore
import Libc

/// What the application has set on a socket, and what accepting it has inherited from the listener.
package struct SocketOptions: Sendable, Equatable {
    /// Values as getsockopt(2) reports them. An option the kernel did not know is absent.
    var values: [SocketOption: Int32] = [:]

    /// Name of the congestion control algorithm, at most 15 bytes.
    package internal(set) var congestionControl = ""

    /// Seconds that close(2) lingers; nil: it does not.
    package internal(set) var linger: Int32?

    /// SO_RCVTIMEO in microseconds; 0: none.
    package internal(set) var receiveTimeout: UInt64 = 0

    /// SO_SNDTIMEO in microseconds; 0: none.
    package internal(set) var sendTimeout: UInt64 = 0

    /// Whether the open file description has O_NONBLOCK.
    package internal(set) var isNonBlocking = false

    /// The longest name of a congestion control algorithm (TCP_CA_NAME_MAX less its terminator).
    static let congestionControlLimit = 15
}

extension SocketOptions {
    /// Reads the options of a socket that is not in repair, which falsifies SO_REUSEADDR.
    init(reading descriptor: Int32, family: IPAddress.Family) throws(MigrationError) {
        for option in SocketOption.allCases where option.exists(on: family) {
            values[option] = option.read(from: descriptor)
        }
        var name = [CChar](repeating: 0, count: 16)
        var size = socklen_t(name.count)
        if getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, &name, &size) == 0 {
            congestionControl = String(
                decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        var lingering = Libc.linger()
        size = socklen_t(MemoryLayout<Libc.linger>.size)
        if getsockopt(descriptor, SOL_SOCKET, SO_LINGER, &lingering, &size) == 0, lingering.l_onoff != 0 {
            linger = lingering.l_linger
        }
        receiveTimeout = SocketOptions.timeout(SO_RCVTIMEO, of: descriptor)
        sendTimeout = SocketOptions.timeout(SO_SNDTIMEO, of: descriptor)
        isNonBlocking = try checkedErrno(fcntl(descriptor, F_GETFL), "fcntl") & O_NONBLOCK != 0
    }

    /// Gives the socket what belongs to `stage`. An option that this kernel does not have keeps its default: it
    /// changes how fast the connection is, never what it carries.
    func apply(to descriptor: Int32, at stage: SocketOption.Stage) {
        for option in SocketOption.allCases where option.stage == stage {
            if let value = values[option] { _ = option.write(value, to: descriptor) }
        }
        guard stage == .connected else { return }
        if !congestionControl.isEmpty {
            _ = congestionControl.withCString {
                setsockopt(
                    descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, $0, socklen_t(congestionControl.utf8.count))
            }
        }
        if let linger {
            var lingering = Libc.linger(l_onoff: 1, l_linger: linger)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &lingering, socklen_t(MemoryLayout<Libc.linger>.size))
        }
        SocketOptions.setTimeout(SO_RCVTIMEO, receiveTimeout, of: descriptor)
        SocketOptions.setTimeout(SO_SNDTIMEO, sendTimeout, of: descriptor)
    }

    private static func timeout(_ name: Int32, of descriptor: Int32) -> UInt64 {
        var value = timeval()
        var size = socklen_t(MemoryLayout<timeval>.size)
        guard getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 else { return 0 }
        return UInt64(clamping: value.tv_sec).multipliedReportingOverflow(by: 1_000_000).partialValue
            &+ UInt64(clamping: value.tv_usec)
    }

    private static func setTimeout(_ name: Int32, _ microseconds: UInt64, of descriptor: Int32) {
        guard microseconds > 0 else { return }
        var value = timeval(
            tv_sec: Int(clamping: microseconds / 1_000_000), tv_usec: Int(microseconds % 1_000_000))
        setsockopt(descriptor, SOL_SOCKET, name, &value, socklen_t(MemoryLayout<timeval>.size))
    }
}
