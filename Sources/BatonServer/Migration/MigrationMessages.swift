/// What the front says to its migration process.
enum MigrationOrder: Codable, Sendable {
    /// The first message.
    case configure(MigrationSetup)
    /// The parcel sockets of the workers.
    case workers([String])
    /// Connect to a peer, and take connections from workers.
    case begin(peer: String, isDryRun: Bool)
    /// Connections that stayed are about to be offered once more.
    case sweep
    /// Forward connections that begin, to these ports, to the peer.
    case steerNewcomers([UInt16])
    /// Let the peer answer for the service addresses.
    case moveAddresses
    /// Nothing more moves.
    case end
}

/// What a migration process is told when it starts.
struct MigrationSetup: Codable, Sendable {
    /// The YAML text and the flags of the configuration, already checked by the front.
    var file: String?
    var flags: [String]
    /// Where it listens for parcels.
    var socket: String
}

/// What the migration process says to the front.
enum MigrationEvent: Codable, Sendable {
    /// It listens for parcels, and for peers.
    case ready
    /// It cannot start, for this reason.
    case failed(String)
    /// The peer takes connections.
    case begun
    /// It does not, for this reason.
    case refused(String)
    /// More connections have moved, or stayed.
    case tally(DrainTally)
    /// New connections go to the peer; or they do not, for this reason.
    case steered(String?)
    /// The peer answers for these addresses; or something failed.
    case addressesMoved([String], String?)
    /// The link has ended.
    case ended(DrainTally)
    /// Connections that came from and went to other hosts since it started.
    case counts(MigrationCounts)
}

/// What a migration process counts.
struct MigrationCounts: Codable, Sendable, Equatable {
    var arrived = 0
    var departed = 0
    var failed = 0
}
