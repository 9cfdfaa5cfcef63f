import TLSRecords

/// The offer of a batch: its version, how many connections it has, and each of them as an encoded `FrozenSocket` with
/// its length before it. Written into one buffer that is zeroed after use.
struct MigrationOffer: ~Copyable {
    private var body = ByteQueue()
    private(set) var count = 0

    mutating func append(_ frozen: borrowing FrozenSocket) {
        let encoded = frozen.encoded()
        var length: [UInt8] = []
        length.append(bigEndian: UInt32(clamping: encoded.count))
        body.append(length)
        encoded.withUnsafeBytes { body.append($0) }
        count += 1
    }

    /// The message.
    borrowing func encoded() -> SecretBytes {
        var header = [MigrationMessage.Kind.offer.rawValue, MigrationMessage.version]
        header.append(bigEndian: UInt16(clamping: count))
        return body.withBytes { body in
            SecretBytes(count: header.count + body.count) { target in
                target.copyBytes(from: header)
                UnsafeMutableRawBufferPointer(rebasing: target[header.count...]).copyMemory(from: body)
            }
        }
    }

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
