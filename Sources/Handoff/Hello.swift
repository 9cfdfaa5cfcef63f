internal import BatonCore
internal import TLSRecords

/// What a receiver says of itself when a channel opens. Beside these fields HELLO carries the key its parcels are
/// sealed under, which never leaves the parsing function but as a `Sealer`.
public struct Hello: Sendable, Hashable {
    /// The protocol versions it speaks.
    let versions: ClosedRange<UInt8>
    /// The snapshot versions it reads.
    let snapshots: ClosedRange<UInt8>
    let receiver: ReceiverID
    /// The receiver's process id, as it knows it; it may have another in this process's namespace.
    public let processID: UInt32
    /// How many more connections it has room for, when it said so; `nil`: it named no limit.
    public let room: UInt32?
    /// The most bytes of one offer, sealed, that it takes.
    public let largestOffer: UInt64

    /// Appends the message. The bytes hold the key: zero them once sent.
    func write(key: borrowing SealKey, to bytes: inout [UInt8]) {
        let zeros = [UInt8](repeating: 0, count: TransferID.length)
        guard let none = zeros.withUnsafeBytes(TransferID.init) else { return }
        MessageHeader(kind: .hello, transfer: none).write(to: &bytes)
        bytes.append(versions.lowerBound)
        bytes.append(versions.upperBound)
        bytes.append(snapshots.lowerBound)
        bytes.append(snapshots.upperBound)
        receiver.withUnsafeBytes { bytes.append(contentsOf: $0) }
        key.withUnsafeBytes { bytes.append(contentsOf: $0) }
        bytes.appendInteger(processID)
        bytes.appendInteger(room ?? .max)
        bytes.appendInteger(largestOffer)
    }

    /// Reads what follows the header. Bytes behind the fields known here are a later version's, and ignored.
    static func read(_ reader: inout WireReader) -> (hello: Hello, key: UnsafeRawBufferPointer)? {
        guard let lowest = reader.uint8(), let highest = reader.uint8(), lowest <= highest,
            let oldest = reader.uint8(), let newest = reader.uint8(), oldest <= newest,
            let id = reader.bytes(ReceiverID.length), let receiver = ReceiverID(id),
            let key = reader.bytes(SealKey.length), let processID = reader.uint32(), let room = reader.uint32(),
            let largestOffer = reader.uint64()
        else { return nil }
        let hello = Hello(
            versions: lowest...highest, snapshots: oldest...newest, receiver: receiver, processID: processID,
            room: room == .max ? nil : room, largestOffer: largestOffer)
        return (hello, key)
    }

    /// The versions both sides speak: the protocol's highest, or an error that says what to do.
    func agreedVersion() throws(HandoffError) -> UInt8 {
        let ours = HandoffProtocol.versions
        let highest = min(versions.upperBound, ours.upperBound)
        guard highest >= max(versions.lowerBound, ours.lowerBound) else {
            throw HandoffError(
                .versionMismatch,
                "the receiver speaks versions \(versions) of the handoff protocol and this process \(ours); "
                    + "update the older one")
        }
        guard snapshots.contains(Snapshot.version) else {
            throw HandoffError(
                .versionMismatch,
                "the receiver reads snapshots of versions \(snapshots) and this process writes \(Snapshot.version); "
                    + "update the older one")
        }
        return highest
    }
}
