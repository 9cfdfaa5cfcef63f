/// Why bytes are not a snapshot this version can take.
public enum SnapshotError: Error, Hashable, Sendable {
    /// The bytes do not begin as a snapshot does.
    case notASnapshot
    /// Written in a format version this build does not read; it reads `Snapshot.readableVersions`.
    case unsupportedVersion(UInt8)
    /// The bytes end inside a field.
    case cutOff
    /// A field this build does not know and must not ignore.
    case unknownField(UInt8)
    /// A field that is there twice, or before one it must follow.
    case fieldOutOfOrder(UInt8)
    /// A field that must be there and is not.
    case missingField(UInt8)
    /// A field whose length or value is impossible.
    case invalidField(UInt8)
    /// Fields that are possible each but not together.
    case contradiction(UInt8)
    /// More than `Snapshot.longest` bytes.
    case tooLong
}

extension SnapshotError: CustomStringConvertible {
    /// One line, without any of the snapshot's content.
    public var description: String {
        switch self {
        case .notASnapshot: "these bytes are not a snapshot"
        case .unsupportedVersion(let version):
            "the snapshot has format version \(version); this build reads \(Snapshot.readableVersions.lowerBound) to \(Snapshot.readableVersions.upperBound)"
        case .cutOff: "the snapshot ends inside a field"
        case .unknownField(let tag):
            "the snapshot holds field \(tag), which this build must not ignore; update this side"
        case .fieldOutOfOrder(let tag): "field \(tag) of the snapshot is repeated or out of order"
        case .missingField(let tag): "the snapshot has no field \(tag)"
        case .invalidField(let tag): "field \(tag) of the snapshot has an impossible length or value"
        case .contradiction(let tag): "field \(tag) of the snapshot contradicts another"
        case .tooLong: "the snapshot is longer than \(Snapshot.longest) bytes"
        }
    }
}
