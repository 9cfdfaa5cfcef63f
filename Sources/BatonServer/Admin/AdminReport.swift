internal import BatonConfiguration

/// Everything the metrics tell, at one moment.
struct AdminReport: Sendable {
    struct Worker: Sendable {
        var number: Int
        var state: String
        var report: WorkerReport
    }

    var version: String
    var phase: String
    var uptime: Double
    var upgrades = 0
    /// Connections the front has.
    var handshaking: Int
    var counts: FrontCounts
    var workers: [Worker]
    /// Lines of the log that could not be written.
    var droppedLogLines = 0
    /// Lines of the access log that could not be.
    var droppedAccessLines = 0
    /// How many processes have died.
    var deaths = ProcessDeaths()
    /// The most connections that are let in.
    var connectionLimit = 0
    /// Of the front.
    var openDescriptors = 0
    var maxDescriptors = 0
    /// The certificates by name, each with its last second, since 1970.
    var certificates: [(name: String, notAfter: Int64)] = []
    /// Of workers that are gone, also those of former servers in the line of upgrades.
    var gone: WorkerReport
    /// The addresses of upstreams.
    var upstreams: [StatusReport.UpstreamAddress] = []
}

extension AdminReport {
    /// Of a server that cannot be asked any more.
    static var ending: AdminReport {
        AdminReport(
            version: BatonVersion.current, phase: "ending", uptime: 0, handshaking: 0, counts: FrontCounts(),
            workers: [],
            gone: WorkerReport())
    }
}
