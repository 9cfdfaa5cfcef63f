internal import Glibc

/// What a new server says to the one it replaces.
enum SuccessorMessage: Codable, Sendable {
    /// Its workers take parcels at these sockets, and it accepts connections as soon as it is told.
    case ready(workers: [String])
    /// It cannot start, for this reason.
    case failed(String)
}

/// What the old server says to the new one.
enum PredecessorMessage: Codable, Sendable {
    /// It accepts no more: the listening sockets are the new one's. Two that accept at one socket would wake each other
    /// for nothing; who connects in between waits in the socket's queue.
    case accept
    /// Nothing is left to it: all it has counted. An older version tells nothing of `counts`.
    case ended(totals: WorkerReport, counts: FrontCounts?)
}

/// The server that is to replace this one, as this one sees it.
final class Successor {
    let process: ChildProcess
    var link: JSONLink<PredecessorMessage>?
    /// Where its workers listen; empty until it is ready.
    var workers: [String] = []
    /// Whether it accepts, and nothing that was accepted here is still to be counted.
    var isAccepting = false
    var total = 0
    var movesFailedBefore = 0
    var why: String?
    let startedAt = MonotonicTime.now

    init(_ process: ChildProcess) { self.process = process }

    /// It will not be needed.
    func abandon() { kill(process.pid, SIGKILL) }
}
