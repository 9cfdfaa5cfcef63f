/// The fields of a parcel, in the order they are written. `docs/handoff.md` is their specification.
enum ParcelField: UInt8, CaseIterable {
    case snapshot = 1
    case writePositions = 2
    case received = 3
    case applicationState = 4
    case unsent = 5
    case secondSnapshot = 6
    case unread = 7
    case moves = 0x81
    case acceptedAt = 0x82
    case listener = 0x83
    case annotation = 0x84

    /// A field with this bit may be skipped by a reader that does not know it; any other must be refused.
    static let ignorable: UInt8 = 0x80

    /// The version of the format this build writes and reads.
    static let formatVersion: UInt8 = 1
}
