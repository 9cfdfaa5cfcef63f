internal import BatonConfiguration
internal import BatonNIO
internal import Libc

extension Liveness {
    /// As the socket is asked for it.
    var socketOptions: SocketOptions {
        var options = SocketOptions()
        options.keepAliveIdle = keepaliveIdle.map { CInt($0.components.seconds) }
        options.keepAliveInterval = CInt(keepaliveInterval.components.seconds)
        options.keepAliveCount = CInt(keepaliveCount)
        options.userTimeout = userTimeout.map { CInt($0.components.seconds * 1000) }
        return options
    }
}
