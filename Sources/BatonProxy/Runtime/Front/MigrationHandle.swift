/// The migration process and the privileged one beside it, as the front sees them.
final class MigrationHandle {
    let pid: Int32
    let socket: String
    var link: JSONLink<MigrationOrder>?
    var isReady = false
    var counts = MigrationCounts()

    init(pid: Int32, socket: String) {
        self.pid = pid
        self.socket = socket
    }
}
