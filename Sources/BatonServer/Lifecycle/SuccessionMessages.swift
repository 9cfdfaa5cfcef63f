internal import Libc
internal import SessionEngine

/// What a new server says to the one it replaces.
enum SuccessorMessage: Codable, Sendable {
    /// It has done all that can fail. Its workers take parcels at these sockets, and it accepts connections as soon as it is
    /// told. A version that tells nothing of its `program` says nothing of what follows here.
    case ready(workers: [String], program: RunningProgram?)
    /// It cannot serve, for this reason.
    case failed(String)
    /// It accepts connections.
    case accepting
    /// Its workers are others now.
    case workers([String])
    /// It was told to stop.
    case stopping(atOnce: Bool)
}

/// What the old server says to the new one. The last two are for versions that tell their program.
enum PredecessorMessage: Codable, Sendable {
    /// It accepts no more: the listening sockets are the new one's. Two that accept at one socket would wake each other
    /// for nothing; who connects in between waits in the socket's queue.
    case accept
    /// Nothing is left to it: all it has counted. An older version tells nothing of `counts`.
    /// - Parameter succeeded: if another service has succeeded it.
    case ended(totals: WorkerReport, counts: FrontCounts?, succeeded: SucceededService?)
    /// What is left to it stays for the time being.
    case lingers(Remainder)
    /// It was told to stop.
    case stop(atOnce: Bool)
}

/// What a new service says of itself to the one that it is to succeed. Fields are added, never changed.
struct SuccessionRequest: Codable, Sendable {
    /// Its control socket, as it sees it.
    var control: String
    var version: String
    /// What its machine or container is called.
    var host: String

    init(control: String) {
        self.control = control
        version = BatonVersion.current
        host = HostName.current
    }
}

/// A service that another one has succeeded.
struct SucceededService: Codable, Sendable {
    var host: String
    var version: String
    /// What it has handed over.
    var connections: Int
}

/// What this machine or container is called.
enum HostName {
    static var current: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "?" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Which program a server is.
struct RunningProgram: Codable, Sendable {
    var version: String
    /// Its file, with every link followed.
    var file: String
    /// The version of `SessionEngine.Arena` that it reads.
    var arenaVersion: UInt32?

    static var current: RunningProgram {
        // A test may have a program that reads another.
        let readsArenas = (try? FaultPoint.reach("arena")) != nil
        return RunningProgram(
            version: BatonVersion.current, file: BinaryPath.atStart, arenaVersion: readsArenas ? Arena.version : 0)
    }
}
