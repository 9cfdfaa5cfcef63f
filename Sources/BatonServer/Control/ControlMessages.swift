internal import BatonConfiguration

/// What a command asks of a running server.
enum ControlRequest: Codable, Sendable {
    case status
    /// Tell of the certificates.
    case certificates
    /// Read the configuration and all its files again.
    case reload
    /// Have this many workers.
    case workers(Int)
    /// Start this binary and hand everything to it; nil: the one this server was started from.
    case upgrade(binary: String?)
    /// Move every connection to another host.
    case drain(to: String, isDryRun: Bool)
    /// Stop the drain that this connection has asked for, after what is under way. So does the connection's end.
    case stop
    /// Hand everything to a service that has processes of its own, and end.
    case succeed(SuccessionRequest)
}

/// What the server answers; to `workers` by `status` once they have started. `upgrade` and `drain` have several answers, the
/// last being `upgraded`, `drained` or `failed`.
enum ControlResponse: Codable, Sendable {
    case status(StatusReport)
    case certificates(CertificatesReport)
    /// The answer to `reload`.
    case reloaded(ReloadReport)
    /// This server has been replaced: ask the one that is at the control socket now.
    case again
    case upgrading(UpgradeProgress)
    case upgraded(UpgradeReport)
    case draining(DrainProgress)
    case drained(DrainReport)
    case failed(String)
    /// The first answer to `succeed`, with two descriptors: the link to this server's front, and the one to its keeper.
    ///
    /// - Parameter takeover: in the directory beside the control socket, where what is left is to be had.
    case granted(takeover: String)
}

/// How far an upgrade has come.
package struct UpgradeProgress: Codable, Sendable, Hashable {
    /// Connections still with the old processes.
    package var remaining: Int
    /// Connections there were when it began.
    package var total: Int
}

/// How an upgrade ended.
package struct UpgradeReport: Codable, Sendable, Hashable {
    /// The process that served before.
    package var from: Int32
    /// The process that serves now.
    package var to: Int32
    /// Connections that were handed over by the old workers.
    package var connections: Int
    /// Moves that failed on the way; their connections were tried again.
    package var failed: Int
    /// Milliseconds from the start of the new process to the end of the last old worker.
    package var durationMilliseconds: Int
    /// The version that serves now; `nil` of one that does not tell.
    package var version: String?
    /// The file of the program that serves now, with links followed.
    package var program: String?
    /// Connections that stay with workers of the old server, because these do not answer; `nil` if all do. They are handed
    /// over when those go on.
    package var left: Int?
    /// The process ids of those workers.
    package var silentWorkers: [Int32]?

    private enum CodingKeys: String, CodingKey {
        case from, to, connections, failed, version, program, left
        case durationMilliseconds = "duration_ms"
        case silentWorkers = "silent_workers"
    }
}
