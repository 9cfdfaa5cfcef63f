internal import BatonCore
internal import TLSRecords

/// Walks the handshake messages inside protected records, which may span records or share one, to see key updates.
struct MessageFollower: Sendable {
    private var header: [UInt8] = []
    private var bodyRemaining = 0

    /// A KeyUpdate message (RFC 8446 section 4.6.3).
    static let keyUpdate: UInt8 = 24

    /// Whether a message has begun and not ended.
    var isInsideMessage: Bool { bodyRemaining > 0 || (1...3).contains(header.count) }

    /// Takes the content of one record; true for each KeyUpdate in it that asks for an answer, false for each that does
    /// not. A KeyUpdate ends its record, so there is at most one from a peer that keeps to section 5.1.
    mutating func follow(_ content: UnsafeRawBufferPointer) -> [Bool] {
        var updates: [Bool] = []
        var reader = WireReader(content)
        while !reader.isAtEnd {
            if bodyRemaining > 0 {
                let taken = min(bodyRemaining, reader.remaining)
                guard let part = reader.bytes(taken) else { return updates }
                bodyRemaining -= taken
                if header[0] == MessageFollower.keyUpdate, bodyRemaining == 0 { updates.append(part.last == 1) }
            } else {
                if header.count == 4 { header.removeAll(keepingCapacity: true) }
                guard let byte = reader.uint8() else { return updates }
                header.append(byte)
                if header.count == 4 { bodyRemaining = Int(header[1]) << 16 | Int(header[2]) << 8 | Int(header[3]) }
            }
        }
        return updates
    }
}
