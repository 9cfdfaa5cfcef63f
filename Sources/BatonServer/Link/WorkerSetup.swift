/// What a worker is told when it starts.
struct WorkerSetup: Codable, Sendable {
    /// The worker's number, from 1; a replacement has a number of its own.
    var number: Int
    /// The YAML text and the flags of the configuration, already checked by the front.
    var file: String?
    var flags: [String]
    /// Where it listens for parcels.
    var socket: String
}
