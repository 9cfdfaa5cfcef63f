/// A worker process, as its front sees it.
final class WorkerHandle {
    enum State: String {
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
    /// Connections given to it that its reports do not count yet: their sources by the number of the placement.
    private(set) var underWay: [UInt64: IPAddress?] = [:]
    /// Its connections, by source.
    private(set) var sources: [IPAddress?: Int] = [:]
    /// A process has ended when it is gone and all that it said has been read.
    var ending: ProcessEnding?
    var isLinkEnded = false

    init(number: Int, pid: Int32, socket: String) {
        self.number = number
        self.pid = pid
        self.socket = socket
    }

    var load: Int { report.connections + underWay.count }

    /// A connection is given to it.
    func expect(_ placement: UInt64, from source: IPAddress?) { underWay[placement] = .some(source) }

    /// A connection that was given to it has arrived, or come back; `nil` if it was not waited for.
    func expectNoMore(_ placement: UInt64) -> IPAddress?? { underWay.removeValue(forKey: placement) }

    func change(_ source: IPAddress?, by number: Int) {
        let count = sources[source, default: 0] + number
        sources[source] = count > 0 ? count : nil
    }
}
