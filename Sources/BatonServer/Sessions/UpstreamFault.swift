internal import BatonNIO
internal import Libc
internal import NIOCore
internal import NIOPosix
internal import TLSHandshake
internal import TLSRecords

/// What stood in the way of a connection to an upstream, or ended it; the raw value is its label in the metrics.
enum UpstreamFault: String {
    case refused
    case timedOut = "timed_out"
    case unreachable
    case name
    case tls
    case greeting
    case noHTTP2 = "no_http2"
    /// It has ended before it was ready.
    case closed
    /// It has ended an established connection, and not in order.
    case reset
    case other

    init(_ error: any Error) {
        self =
            switch error {
            case let error as NIOConnectionError:
                error.connectionErrors.last.map { UpstreamFault($0.error) } ?? .name
            case let error as IOError: Self.of(error.errnoCode)
            case let error as ConnectionError where error.code == .handshakeTimedOut: .timedOut
            case let error as ConnectionError: error.systemError.map(Self.of) ?? .other
            case is HandshakeError, is TLSError: .tls
            case UpstreamOpeningError.greeting(_, _): .greeting
            case UpstreamOpeningError.speaksNoHTTP2: .noHTTP2
            case ChannelError.connectTimeout(_): .timedOut
            case ChannelError.eof, ChannelError.inputClosed, ChannelError.ioOnClosedChannel: .closed
            default: .other
            }
    }

    private static func of(_ code: CInt) -> UpstreamFault {
        switch code {
        case ECONNREFUSED, ENOENT: .refused
        case ETIMEDOUT: .timedOut
        case EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL: .unreachable
        case ECONNRESET, EPIPE: .closed
        default: .other
        }
    }
}
