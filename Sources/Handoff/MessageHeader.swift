internal import BatonCore
internal import TLSRecords

/// What every message begins with: kind (1 byte), protocol version (1), how many descriptors come with it (2, big-
/// endian), the transfer it belongs to (16; zeros in HELLO).
struct MessageHeader: Hashable {
    var kind: MessageKind
    var version: UInt8 = HandoffProtocol.versions.upperBound
    var descriptorCount: UInt16 = 0
    var transfer: TransferID

    /// Nil if the bytes are no message of a version this build speaks.
    static func read(_ reader: inout WireReader) -> MessageHeader? {
        guard let kind = reader.uint8().flatMap(MessageKind.init(rawValue:)), let version = reader.uint8(),
            let descriptorCount = reader.uint16(), let id = reader.bytes(16), let transfer = TransferID(id)
        else { return nil }
        // HELLO says itself which versions its sender speaks.
        guard kind == .hello || HandoffProtocol.versions.contains(version) else { return nil }
        return MessageHeader(kind: kind, version: version, descriptorCount: descriptorCount, transfer: transfer)
    }

    func write(to bytes: inout [UInt8]) {
        bytes.append(kind.rawValue)
        bytes.append(version)
        bytes.appendInteger(descriptorCount)
        transfer.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }
}

extension [UInt8] {
    mutating func appendInteger<T: FixedWidthInteger>(_ value: T) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}
