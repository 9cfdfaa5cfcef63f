internal import Glibc

/// The migration process and the privileged one beside it, as the front sees them.
final class MigrationHandle {
    let pid: Int32
    let socket: String
    /// The end of their socket that is the privileged process's. Kept for one that takes its place.
    let networkEnd: CInt
    /// When the privileged process was started last, on the monotonic clock in nanoseconds.
    var networkStartedAt: UInt64 = 0
    var link: JSONLink<MigrationOrder>?
    var isReady = false
    var counts = MigrationCounts()

    init(pid: Int32, socket: String, networkEnd: CInt) {
        self.pid = pid
        self.socket = socket
        self.networkEnd = networkEnd
    }

    deinit { close(networkEnd) }
}
