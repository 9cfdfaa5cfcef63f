internal import BatonCore
internal import TLSRecords

/// Reads what `ParcelWriter` wrote, from bytes somebody else sent. Every length is checked before it is used, and
/// whatever was read is let go when it throws: descriptors closed, secrets zeroed.
enum ParcelReader {
    /// The parcels, and for each what is wrong with it. A parcel in error holds nothing, so that the others can still
    /// be taken.
    struct Contents: ~Copyable {
        var batch = ParcelBatch()
        var errors: [ParcelError?] = []
    }

    /// - Parameters:
    ///   - descriptors: those of all parcels, in order.
    ///   - comeLater: whether the sockets travel by another way, and the caller sees that they are enough.
    static func read(
        _ bytes: UnsafeRawBufferPointer, descriptors: consuming DescriptorSet, comeLater: Bool = false
    ) throws(ParcelError) -> Contents {
        var reader = WireReader(bytes)
        guard let version = reader.uint8() else { throw .cutOff }
        guard version == ParcelField.formatVersion else { throw .unsupportedVersion(version) }
        guard let count = reader.uint32() else { throw .cutOff }
        guard count >= 1, count <= HandoffProtocol.maxParcels else { throw .wrongParcelCount }
        var contents = Contents()
        for _ in 0..<count {
            guard let socketCount = reader.uint32(), let length = reader.uint32() else { throw .cutOff }
            guard let body = reader.bytes(Int(length)) else { throw .cutOff }
            guard socketCount <= descriptors.count else { throw .wrongDescriptorCount }
            do throws(ParcelError) {
                let parcel = try readParcel(
                    body, sockets: descriptors.takeFirst(Int(socketCount)), comeLater: comeLater)
                contents.batch.append(parcel)
                contents.errors.append(nil)
            } catch {
                contents.batch.append(Parcel())
                contents.errors.append(error)
            }
        }
        guard reader.isAtEnd else { throw .trailingBytes }
        guard descriptors.isEmpty else { throw .wrongDescriptorCount }
        return contents
    }

    private static func readParcel(
        _ bytes: UnsafeRawBufferPointer, sockets: consuming DescriptorSet, comeLater: Bool
    ) throws(ParcelError) -> Parcel {
        var parcel = Parcel(sockets: sockets)
        var reader = WireReader(bytes)
        var previous: UInt8 = 0
        var previousName: [UInt8] = []
        while !reader.isAtEnd {
            guard let tag = reader.uint8(), let length = reader.uint32() else { throw .cutOff }
            guard let value = reader.bytes(Int(length)) else { throw .cutOff }
            guard tag > previous || (tag == previous && tag == ParcelField.annotation.rawValue) else {
                throw .fieldOutOfOrder(tag)
            }
            previous = tag
            guard let field = ParcelField(rawValue: tag) else {
                guard tag & ParcelField.ignorable != 0 else { throw .unknownField(tag) }
                continue
            }
            switch field {
            case .annotation: try readAnnotation(value, after: &previousName, into: &parcel.metadata)
            case .secondSnapshot:
                guard comeLater || parcel.sockets.count >= 2 else { throw .invalidField(tag) }
                parcel.secondSnapshot = try readSnapshot(value)
            default: try read(field, value, into: &parcel)
            }
        }
        return parcel
    }

    private static func read(
        _ field: ParcelField, _ value: UnsafeRawBufferPointer, into parcel: inout Parcel
    ) throws(ParcelError) {
        var reader = WireReader(value)
        switch field {
        case .snapshot: parcel.snapshot = try readSnapshot(value)
        case .writePositions:
            guard !parcel.sockets.isEmpty, value.count == parcel.sockets.count * 9 else {
                throw .invalidField(field.rawValue)
            }
            for index in 0..<parcel.sockets.count {
                guard let known = reader.uint8(), let position = reader.uint64(), known <= 1,
                    known == 1 || position == 0
                else { throw .invalidField(field.rawValue) }
                parcel.sockets.setWritePosition(known == 1 ? position : nil, at: index)
            }
        case .received, .unsent:
            // Those of a TLS connection are in its snapshot.
            guard !value.isEmpty, parcel.snapshot == nil else { throw .invalidField(field.rawValue) }
            if field == .received { parcel.received = Array(value) } else { parcel.unsent = Array(value) }
        case .unread:
            guard (1...Parcel.maxUnread).contains(value.count), parcel.snapshot != nil else {
                throw .invalidField(field.rawValue)
            }
            parcel.unread = Array(value)
        case .applicationState:
            guard !value.isEmpty else { throw .invalidField(field.rawValue) }
            parcel.applicationState = Array(value)
        case .moves:
            guard value.count == 4, let moves = reader.uint32() else { throw .invalidField(field.rawValue) }
            parcel.metadata.moves = moves
        case .acceptedAt:
            guard value.count == 8, let moment = reader.uint64() else { throw .invalidField(field.rawValue) }
            parcel.metadata.acceptedAt = moment
        case .listener:
            guard value.count <= 255, let name = String(validating: value, as: UTF8.self) else {
                throw .invalidField(field.rawValue)
            }
            parcel.metadata.listener = name
        case .annotation, .secondSnapshot:
            break
        }
    }

    private static func readSnapshot(_ value: UnsafeRawBufferPointer) throws(ParcelError) -> Snapshot {
        do throws(SnapshotError) {
            return try Snapshot(decoding: value.bytes)
        } catch {
            throw .snapshot(error)
        }
    }

    private static func readAnnotation(
        _ value: UnsafeRawBufferPointer, after previous: inout [UInt8], into metadata: inout ParcelMetadata
    ) throws(ParcelError) {
        let tag = ParcelField.annotation.rawValue
        var reader = WireReader(value)
        guard let length = reader.uint8(), length > 0, let nameBytes = reader.bytes(Int(length)),
            let name = String(validating: nameBytes, as: UTF8.self), reader.remaining <= 65_535,
            let content = reader.bytes(reader.remaining)
        else { throw .invalidField(tag) }
        guard previous.precedes(Array(nameBytes)) else { throw .fieldOutOfOrder(tag) }
        previous = Array(nameBytes)
        // Two names that differ in bytes can still be equal strings (Unicode's canonical equivalence).
        guard metadata.annotations.count < ParcelMetadata.maxAnnotations,
            metadata.annotations.updateValue(Array(content), forKey: name) == nil
        else { throw .invalidField(tag) }
    }
}
