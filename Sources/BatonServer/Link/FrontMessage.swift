/// What the front says to a worker.
enum FrontMessage: Codable, Sendable {
    /// The first message.
    case configure(WorkerSetup)
    /// The configuration has changed. Each change has a higher turn than the one before.
    case reconfigure(file: String?, flags: [String], turn: UInt64)
    /// The parcel sockets of the other workers.
    case siblings([String])
    /// Hand every connection to these; take no more, and exit when none is left.
    case handOver(to: [String])
    /// Those to whom connections were to go have failed: go on with what is left, and say ready if that can be.
    case resume
    /// Offer so many connections, of those that this sweep has not asked for, to the migration process.
    case migrate(to: String, sweep: UInt64, limit: Int)
    /// Take no more connections, close those that are idle, and exit when none is left.
    case finish
    /// Answer, to show that the event loop turns.
    case beat
    /// Tell what connections are there.
    case list(ListingRequest)
    /// Close what is left, and exit.
    case stop
    /// What is known of the addresses of upstreams. Only for a worker whose reports tell of them: an older one does not know it.
    case upstreams(UpstreamOrders)

    enum CodingKeys: String, CodingKey {
        case configure, reconfigure, siblings
        // A front can have a worker of another version, and this is what it is called between them.
        case handOver = "drain"
        case resume, migrate, finish, beat, list, stop, upstreams
    }
}
