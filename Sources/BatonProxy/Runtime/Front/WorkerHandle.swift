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
    /// Connections given to it that its last report does not count yet, by source.
    private(set) var underWay: [IPAddress?: Int] = [:]
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

    var load: Int { underWay.values.reduce(report.connections, +) }

    /// A connection is given to it.
    func expect(_ source: IPAddress?) { underWay[source, default: 0] += 1 }

    /// A connection given to it has come back; false if it was not waited for any more.
    func expectNoMore(_ source: IPAddress?) -> Bool {
        guard let count = underWay[source] else { return false }
        underWay[source] = count > 1 ? count - 1 : nil
        return true
    }

    /// Its report counts what was under way.
    func takeUnderWay() -> [IPAddress?: Int] {
        defer { underWay = [:] }
        return underWay
    }

    func change(_ source: IPAddress?, by number: Int) {
        let count = sources[source, default: 0] + number
        sources[source] = count > 0 ? count : nil
    }
}
