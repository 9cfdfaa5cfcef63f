internal import Glibc

/// What a new server says to the one it replaces.
enum SuccessorMessage: Codable, Sendable {
    /// It accepts connections, and its workers take parcels at these sockets.
    case ready(workers: [String])
    /// It cannot start, for this reason.
    case failed(String)
}

/// What the old server says to the new one when nothing is left to it: all it has counted.
struct PredecessorMessage: Codable, Sendable {
    var totals: WorkerReport
    /// Absent from an older version.
    var counts: FrontCounts?
}

/// The server that is to replace this one, as this one sees it.
final class Successor {
    let process: ChildProcess
    var link: JSONLink<PredecessorMessage>?
    /// Where its workers listen; empty until it is ready.
    var workers: [String] = []
    /// Connections of this front on their way to them.
    var placements = 0
    var total = 0
    var movesFailedBefore = 0
    var why: String?
    let startedAt = MonotonicTime.now

    init(_ process: ChildProcess) { self.process = process }

    /// It will not be needed.
    func abandon() { kill(process.pid, SIGKILL) }
}
