/// The fields of an encoded `FrozenSocket`, in the order they are written. `docs/host-migration.md` specifies them.
enum FrozenField: UInt8, CaseIterable {
    case family = 1
    case local = 2
    case remote = 3
    case state = 4
    case negotiated = 5
    case window = 6
    case timestamp = 7
    case sendSequence = 8
    case sendQueue = 9
    case unsentCount = 10
    case receiveSequence = 11
    case receiveQueue = 12
    case integerOptions = 13
    case congestionControl = 14
    case linger = 15
    case timeouts = 16
    case isNonBlocking = 17
    case companion = 18

    /// A field with this bit may be skipped by a reader that does not know it; any other must be refused.
    static let ignorable: UInt8 = 0x80

    /// Whether every encoding has the field.
    var isRequired: Bool { self != .linger && self != .companion }
}
