internal import BatonCore
internal import TLSRecords

/// An offer on its way: the parcels, which stay here until the transfer is over, and what is still to be sent.
struct OutgoingOffer: ~Copyable {
    let id = TransferID.random()
    let deadline: Deadline
    var transfer: OwnerTransfer
    var batch: ParcelBatch
    private(set) var isSealed = false
    private(set) var sealedCount = 0
    private var sealed: [UInt8] = []
    private var sentBytes = 0
    private var descriptors: [Int32] = []
    private var sentDescriptors = 0
    private var hasBegun = false

    init(_ batch: consuming ParcelBatch, deadline: Deadline) {
        transfer = OwnerTransfer(count: batch.count)
        self.batch = batch
        self.deadline = deadline
    }

    /// Whether every byte and every descriptor was sent.
    var hasLeft: Bool { hasBegun && sentBytes == sealed.count && sentDescriptors == descriptors.count }

    consuming func intoBatch() -> ParcelBatch { batch }

    mutating func seal(with sealer: borrowing Sealer) throws(ParcelError) {
        var writer = ParcelWriter()
        descriptors = try writer.write(batch)
        let id = id
        // The wall clock dates the seal; a second's grace keeps rounding from expiring what is in time.
        let (expiry, isBeyond) = (WallClock.milliseconds &+ 1000).addingReportingOverflow(
            deadline.remainingMilliseconds)
        sealed = writer.withBytes { sealer.seal($0.bytes, transfer: id, expires: isBeyond ? .max : expiry) }
        sealedCount = sealed.count
        isSealed = true
    }

    /// Sends the next message.
    mutating func sendNext(over socket: borrowing HandoffSocket, version: UInt8) -> HandoffSocket.Sending {
        let descriptorCount = min(descriptors.count - sentDescriptors, HandoffProtocol.descriptorsPerMessage)
        var head: [UInt8] = []
        head.reserveCapacity(HandoffProtocol.headerSize + HandoffProtocol.offerFieldsSize)
        MessageHeader(
            kind: hasBegun ? .chunk : .offer, version: version, descriptorCount: UInt16(descriptorCount), transfer: id
        ).write(to: &head)
        if hasBegun {
            head.appendInteger(UInt64(sentBytes))
        } else {
            head.appendInteger(UInt32(batch.count))
            head.appendInteger(UInt32(descriptors.count))
            head.appendInteger(UInt64(sealed.count))
        }
        let byteCount = min(sealed.count - sentBytes, HandoffProtocol.longestMessage - head.count)
        let result = sealed.withUnsafeBytes { bytes in
            descriptors.withUnsafeBufferPointer { descriptors in
                head.withUnsafeBytes { head in
                    socket.send(
                        head, UnsafeRawBufferPointer(rebasing: bytes[sentBytes..<sentBytes + byteCount]),
                        descriptors: UnsafeBufferPointer(
                            rebasing: descriptors[sentDescriptors..<sentDescriptors + descriptorCount]))
                }
            }
        }
        if result == .sent {
            hasBegun = true
            sentBytes += byteCount
            sentDescriptors += descriptorCount
        }
        return result
    }
}
