/// The fields of a snapshot, in the order they are written. `docs/snapshot-format.md` is their specification.
enum SnapshotField: UInt8, CaseIterable {
    case role = 1
    case suite = 2
    case readSecret = 3
    case readSequence = 4
    case writeSecret = 5
    case writeSequence = 6
    case writeExplicitNonce = 7
    case writeBlocks = 8
    case exporter = 9
    case resumption = 10
    case serverName = 11
    case applicationProtocol = 12
    case peerCertificate = 13
    case peerSubject = 14
    case verifyResult = 15
    case flags = 16
    case ticketKeyName = 17
    case sizeLimits = 18
    case blocksPerKey = 19
    case counters = 20
    case failure = 21
    case unread = 22
    case inbound = 23
    case handshake = 24
    case outgoing = 25
    case paidKeyUpdates = 129
    case peerNames = 130
    case peerChain = 131
    case verifiedChain = 132

    /// A field with this bit may be skipped by a reader that does not know it; any other must be refused.
    static let ignorable: UInt8 = 0x80
}

/// The bits of `SnapshotField.flags`.
struct SnapshotFlags: OptionSet {
    let rawValue: UInt8

    static let resumed = SnapshotFlags(rawValue: 1)
    static let extendedMasterSecret = SnapshotFlags(rawValue: 2)
    static let readClosed = SnapshotFlags(rawValue: 4)
    static let writeClosed = SnapshotFlags(rawValue: 8)
    static let owesKeyUpdate = SnapshotFlags(rawValue: 16)
    static let all: SnapshotFlags = [.resumed, .extendedMasterSecret, .readClosed, .writeClosed, .owesKeyUpdate]
}
