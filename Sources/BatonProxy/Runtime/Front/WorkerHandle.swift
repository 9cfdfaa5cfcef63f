/// A worker process, as its front sees it.
final class WorkerHandle {
    enum State {
        case starting, ready
        /// Gives its connections away.
        case draining
        case gone
    }

    let number: Int
    let pid: Int32
    let socket: String
    var link: JSONLink<FrontMessage>?
    var state = State.starting
    var report = WorkerReport()
    /// How many other workers it knows.
    var siblings = 0
    /// Connections given to it that its last report does not count yet.
    var underWay = 0
    /// A process has ended when it is gone and all that it said has been read.
    var ending: ProcessEnding?
    var isLinkEnded = false

    init(number: Int, pid: Int32, socket: String) {
        self.number = number
        self.pid = pid
        self.socket = socket
    }

    var load: Int { report.connections + underWay }
}
