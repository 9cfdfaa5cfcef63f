import BatonCore

/// The offer of a batch: its version, how many connections it has, and each of them as an encoded `FrozenSocket` with
/// its length before it. Written into one buffer that is zeroed after use.
struct MigrationOffer: ~Copyable {
    private var body = ByteQueue()
    private(set) var count = 0

    init() {
        body.append([MigrationMessage.Kind.offer.rawValue, MigrationMessage.version, 0, 0])
    }

    /// Appends a connection, with what accompanies it.
    mutating func append(_ frozen: borrowing FrozenSocket) {
        let start = body.count
        body.append([0, 0, 0, 0])
        frozen.encode(into: &body)
        count += 1
        let (members, length) = (UInt16(clamping: count), UInt32(clamping: body.count - start - 4))
        body.withMutableBytes { bytes in
            bytes.storeBytes(of: members.bigEndian, toByteOffset: 2, as: UInt16.self)
            bytes.storeBytes(of: length.bigEndian, toByteOffset: start, as: UInt32.self)
        }
    }

    /// The message.
    consuming func encoded() -> ByteQueue { body }

    /// Calls `body` with each member of an encoded offer, in order, once the whole is known to be well-formed, and
    /// returns how many there are.
    static func forEach(
        in message: UnsafeRawBufferPointer, _ body: (Int, UnsafeRawBufferPointer) -> Void
    ) throws(MigrationError) -> Int {
        var reader = WireReader(message)
        guard reader.uint8() == MigrationMessage.Kind.offer.rawValue, let version = reader.uint8() else {
            throw MigrationError(.protocolViolation, "no offer")
        }
        guard version == MigrationMessage.version else { throw MigrationError(.unsupportedVersion, "\(version)") }
        guard let count = reader.uint16(), (1...MigrationMessage.batchLimit).contains(Int(count)) else {
            throw MigrationError(.malformed, "count")
        }
        var members: [UnsafeRawBufferPointer] = []
        for _ in 0..<count {
            guard let length = reader.uint32(), let member = reader.bytes(Int(length)) else {
                throw MigrationError(.malformed, "truncated")
            }
            members.append(member)
        }
        guard reader.isAtEnd else { throw MigrationError(.malformed, "trailing bytes") }
        for (index, member) in members.enumerated() { body(index, member) }
        return members.count
    }
}
