internal import BatonCore
internal import TLSRecords

/// Writes parcels as one run of bytes, ready to be sealed.
struct ParcelWriter: ~Copyable {
    private var bytes = ByteQueue()

    /// Lends what was written.
    borrowing func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { bytes.withBytes(body) }

    /// Writes all of `batch`, which keeps its parcels, and returns their descriptors, which the parcels keep.
    mutating func write(_ batch: borrowing ParcelBatch) throws(ParcelError) -> [Int32] {
        guard (1...HandoffProtocol.maxParcels).contains(batch.count) else { throw .wrongParcelCount }
        var descriptors: [Int32] = []
        descriptors.reserveCapacity(batch.count)
        append(ParcelField.formatVersion)
        append(UInt32(batch.count))
        for index in 0..<batch.count {
            try batch.withParcel(at: index) { parcel throws(ParcelError) in
                for socket in 0..<parcel.sockets.count { descriptors.append(parcel.sockets[socket]) }
                try write(parcel)
            }
        }
        return descriptors
    }

    /// Writes one parcel as a batch of its own, as if it had no sockets.
    mutating func write(withoutSockets parcel: borrowing Parcel) throws(ParcelError) {
        append(ParcelField.formatVersion)
        append(UInt32(1))
        try write(parcel, hasSockets: false)
    }

    /// What was written.
    consuming func finish() -> ByteQueue { bytes }

    private mutating func write(_ parcel: borrowing Parcel, hasSockets: Bool = true) throws(ParcelError) {
        guard parcel.metadata.isEncodable else { throw .metadataTooLarge }
        // Before lengths are written in 32 bits, and before the sealer is given more than it takes.
        let (size, isBeyond) = parcel.applicationState.count.addingReportingOverflow(parcel.received.count)
        guard !isBeyond, size <= ParcelBatch.longest, bytes.count + size <= ParcelBatch.longest else { throw .tooLarge }
        append(UInt32(hasSockets ? parcel.sockets.count : 0))
        let frame = beginLength()
        if parcel.snapshot != nil {
            append(ParcelField.snapshot.rawValue)
            let length = beginLength()
            parcel.snapshot?.encode(to: &bytes)
            endLength(length)
        }
        if hasSockets { writePositions(parcel.sockets) }
        // What was read of a TLS connection belongs in its snapshot.
        guard parcel.snapshot == nil || parcel.received.isEmpty else {
            throw .invalidField(ParcelField.received.rawValue)
        }
        append(.received, parcel.received)
        guard parcel.snapshot == nil || parcel.unsent.isEmpty else {
            throw .invalidField(ParcelField.unsent.rawValue)
        }
        append(.applicationState, parcel.applicationState)
        append(.unsent, parcel.unsent)
        if parcel.secondSnapshot != nil {
            append(ParcelField.secondSnapshot.rawValue)
            let length = beginLength()
            parcel.secondSnapshot?.encode(to: &bytes)
            endLength(length)
        }
        guard parcel.unread.isEmpty || (parcel.snapshot != nil && parcel.unread.count <= Parcel.maxUnread) else {
            throw .invalidField(ParcelField.unread.rawValue)
        }
        append(.unread, parcel.unread)
        write(parcel.metadata)
        guard bytes.count <= ParcelBatch.longest else { throw .tooLarge }
        endLength(frame)
    }

    private mutating func writePositions(_ sockets: borrowing DescriptorSet) {
        var isAnyKnown = false
        for index in 0..<sockets.count where sockets.writePosition(at: index) != nil { isAnyKnown = true }
        guard isAnyKnown else { return }
        append(ParcelField.writePositions.rawValue)
        append(UInt32(sockets.count * 9))
        for index in 0..<sockets.count {
            let position = sockets.writePosition(at: index)
            append(UInt8(position == nil ? 0 : 1))
            append(position ?? 0)
        }
    }

    private mutating func write(_ metadata: ParcelMetadata) {
        if metadata.moves > 0 {
            append(ParcelField.moves.rawValue)
            append(UInt32(4))
            append(metadata.moves)
        }
        if let acceptedAt = metadata.acceptedAt {
            append(ParcelField.acceptedAt.rawValue)
            append(UInt32(8))
            append(acceptedAt)
        }
        if let listener = metadata.listener {
            append(ParcelField.listener.rawValue)
            append(UInt32(listener.utf8.count))
            append(Array(listener.utf8))
        }
        for (name, value) in metadata.annotations.sorted(by: { Array($0.key.utf8).precedes(Array($1.key.utf8)) }) {
            append(ParcelField.annotation.rawValue)
            append(UInt32(1 + name.utf8.count + value.count))
            append(UInt8(name.utf8.count))
            append(Array(name.utf8))
            append(value)
        }
    }

    private mutating func append(_ field: ParcelField, _ value: [UInt8]) {
        guard !value.isEmpty else { return }
        append(field.rawValue)
        append(UInt32(value.count))
        append(value)
    }

    private mutating func append(_ value: [UInt8]) {
        value.withUnsafeBytes { bytes.append($0) }
    }

    private mutating func append<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append($0) }
    }

    /// Leaves room for a length that is not known yet.
    private mutating func beginLength() -> Int {
        append(UInt32(0))
        return bytes.count
    }

    private mutating func endLength(_ start: Int) {
        let length = UInt32(bytes.count - start)
        bytes.withMutableBytes { $0.storeBytes(of: length.bigEndian, toByteOffset: start - 4, as: UInt32.self) }
    }
}

extension [UInt8] {
    /// Byte order, which does not depend on the locale or on how a string is composed.
    func precedes(_ other: [UInt8]) -> Bool {
        lexicographicallyPrecedes(other)
    }
}
