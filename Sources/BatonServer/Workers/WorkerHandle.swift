internal import BatonConfiguration
internal import BatonCore

/// A worker process, as its front sees it.
final class WorkerHandle {
    enum State: String {
        case starting, ready
        /// Gives its connections away.
        case retiring
        case gone
    }

    let number: Int
    /// The keeper's number for it.
    let process: UInt32
    let pid: Int32
    let socket: String
    var link: JSONLink<FrontMessage>?
    var state = State.starting
    /// Whether it has outlived a front, and has not answered to this one yet.
    var isAdopted = false
    /// Whether it was retiring, and has been told to go on.
    var hasResumed = false
    var report = WorkerReport()
    var heartbeat = Heartbeat()
    /// Whether another does its work.
    var isReplaced = false
    /// How many other workers it knows.
    var siblings = 0
    /// Its connections, by source.
    private(set) var sources: [IPAddress?: Int] = [:]
    /// What the access log says of connections that end with it.
    private var waiting: [UInt64: AccessRecord] = [:]
    /// A process has ended when it is gone and all that it said has been read.
    var ending: ProcessEnding?
    var isLinkEnded = false

    init(number: Int, process: UInt32, pid: Int32, socket: String) {
        self.number = number
        self.process = process
        self.pid = pid
        self.socket = socket
    }

    /// Since when it does not answer, on the monotonic clock in nanoseconds.
    var silentSince: UInt64? { heartbeat.silentSince }

    /// Whether it may be given connections.
    var takesConnections: Bool { state == .ready && silentSince == nil }

    /// For status and the admin page.
    var stateName: String { silentSince == nil || state == .gone ? state.rawValue : "silent" }

    // MARK: The access log

    func keep(_ changes: WaitingConnections) {
        waiting.merge(changes.come) { _, new in new }
        for number in changes.gone { waiting[number] = nil }
    }

    /// The worker is gone: what waited in it is lost.
    func tellWaiting() {
        for record in waiting.values { AccessLog.process.write(record) }
        waiting = [:]
    }

    func change(_ source: IPAddress?, by number: Int) {
        let count = sources[source, default: 0] + number
        sources[source] = count > 0 ? count : nil
    }
}
