internal import BatonCore

/// What stands before sealed bytes, readable and authenticated.
struct SealHeader {
    static let magic: UInt32 = 0x4254_4E73  // "BTNs"
    static let version: UInt8 = 1
    static let length = 4 + 1 + TransferID.length + ReceiverID.length + 8 + 12

    var transfer: TransferID
    var receiver: ReceiverID
    /// Milliseconds since 1970.
    var expires: UInt64
    var nonce: Nonce

    init(transfer: TransferID, receiver: ReceiverID, expires: UInt64, nonce: Nonce) {
        self.transfer = transfer
        self.receiver = receiver
        self.expires = expires
        self.nonce = nonce
    }

    init(_ bytes: UnsafeRawBufferPointer) throws(SealError) {
        var reader = WireReader(bytes)
        guard reader.uint32() == SealHeader.magic else { throw .notSealed }
        guard let version = reader.uint8() else { throw .cutOff }
        guard version == SealHeader.version else { throw .unsupportedVersion(version) }
        guard let transfer = reader.bytes(TransferID.length).flatMap(TransferID.init),
            let receiver = reader.bytes(ReceiverID.length).flatMap(ReceiverID.init),
            let expires = reader.uint64(), let nonceHigh = reader.uint32(), let nonceLow = reader.uint64()
        else { throw .cutOff }
        self.init(
            transfer: transfer, receiver: receiver, expires: expires, nonce: Nonce(high: nonceHigh, low: nonceLow))
    }

    func write(to output: UnsafeMutableRawBufferPointer) {
        var offset = 0
        func put(_ bytes: UnsafeRawBufferPointer) {
            UnsafeMutableRawBufferPointer(rebasing: output[offset...]).copyMemory(from: bytes)
            offset += bytes.count
        }
        withUnsafeBytes(of: SealHeader.magic.bigEndian, put)
        withUnsafeBytes(of: SealHeader.version, put)
        transfer.withUnsafeBytes(put)
        receiver.withUnsafeBytes(put)
        withUnsafeBytes(of: expires.bigEndian, put)
        withUnsafeBytes(of: nonce.bigEndian, put)
    }
}
