internal import BatonCore
internal import Libc

/// What the service manager is told, by the keeper at a front's word.
enum ServiceNotification: Codable, Sendable, Equatable {
    /// Ready to serve.
    case ready
    /// - Parameter since: on the monotonic clock, in microseconds.
    case reloading(since: UInt64)
    case stopping
    /// The watchdog's.
    case alive

    static var reloading: ServiceNotification { .reloading(since: MonotonicTime.now / 1000) }

    /// As the service manager reads it. The main process is the one that sends it, however it was started.
    var text: String {
        switch self {
        case .ready: "READY=1\nMAINPID=\(getpid())\n"
        case .reloading(let since): "RELOADING=1\nMONOTONIC_USEC=\(since)\n"
        case .stopping: "STOPPING=1\n"
        case .alive: "WATCHDOG=1\n"
        }
    }
}
