internal import Libc

/// The migration process and the privileged one beside it, as the front sees them.
final class MigrationHandle {
    /// The keeper's number for it.
    let process: UInt32
    let pid: Int32
    let socket: String
    /// The end of their socket that is the privileged process's. Kept for one that takes its place; -1: none will.
    private(set) var networkEnd: CInt
    /// When the privileged process was started last, on the monotonic clock in nanoseconds.
    var networkStartedAt: UInt64 = 0
    var link: JSONLink<MigrationOrder>?
    var isReady = false
    var counts = MigrationCounts()

    init(process: UInt32, pid: Int32, socket: String, networkEnd: CInt) {
        self.process = process
        self.pid = pid
        self.socket = socket
        self.networkEnd = networkEnd
    }

    /// No other privileged process will come: the migration process is to hear it when this one ends.
    func closeNetworkEnd() {
        if networkEnd >= 0 { close(networkEnd) }
        networkEnd = -1
    }

    deinit { closeNetworkEnd() }
}
