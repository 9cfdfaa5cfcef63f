public import TLSRecords

/// Why bytes are not a parcel, or a parcel cannot become bytes.
public enum ParcelError: Error, Hashable, Sendable {
    /// A format version this build does not read.
    case unsupportedVersion(UInt8)
    /// The bytes end inside a field.
    case cutOff
    /// Bytes follow the last parcel.
    case trailingBytes
    /// A field this build does not know and must not ignore.
    case unknownField(UInt8)
    /// A field that is there twice, or before one it must follow.
    case fieldOutOfOrder(UInt8)
    /// A field whose length or value is impossible.
    case invalidField(UInt8)
    /// The parcels name more or fewer descriptors than came.
    case wrongDescriptorCount
    /// No parcel at all, or more than a transfer may have.
    case wrongParcelCount
    /// Metadata beyond its limits: see `ParcelMetadata`.
    case metadataTooLarge
    /// The parcels of a batch take more than `ParcelBatch.longest` bytes.
    case tooLarge
    /// The snapshot in the parcel cannot be read.
    case snapshot(SnapshotError)

    /// What a receiver answers.
    var declineReason: DeclineReason {
        switch self {
        case .snapshot(.unsupportedVersion), .snapshot(.unknownField): .unsupportedSnapshot
        case .unsupportedVersion, .unknownField: .unsupportedParcel
        case .tooLarge: .tooLarge
        default: .malformed
        }
    }
}

extension ParcelError: CustomStringConvertible {
    /// One line, without any of the parcel's content.
    public var description: String {
        switch self {
        case .unsupportedVersion(let version): "the parcels have format version \(version); update this side"
        case .cutOff: "the parcel ends inside a field"
        case .trailingBytes: "bytes follow the last parcel"
        case .unknownField(let tag): "the parcel holds field \(tag), which this build must not ignore; update this side"
        case .fieldOutOfOrder(let tag): "field \(tag) of the parcel is repeated or out of order"
        case .invalidField(let tag): "field \(tag) of the parcel has an impossible length or value"
        case .wrongDescriptorCount: "the parcels name another number of descriptors than came with them"
        case .wrongParcelCount: "a transfer has 1 to \(HandoffProtocol.maxParcels) parcels"
        case .metadataTooLarge: "the parcel's metadata is beyond its limits"
        case .tooLarge: "a batch takes at most \(ParcelBatch.longest) bytes; offer fewer parcels at once"
        case .snapshot(let error): error.description
        }
    }
}
