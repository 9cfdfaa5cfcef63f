import TLSRecords

/// Connections that are suspended and resumed, round after round.
///
/// They are copies of one connection, which no program may let loose; here what they send goes nowhere.
final class MovingConnections {
    private final class Slot {
        var connection: Connection?
        var bytes: SecretBytes?
    }

    private let slots: [Slot]
    private let original: SecretBytes
    /// What the peer sends before and after the move.
    private let before: [UInt8]
    private let after: [UInt8]

    init(_ pair: consuming ConnectedPair, count: Int) throws {
        slots = (0..<count).map { _ in Slot() }
        try pair.exchange()
        before = try MovingConnections.record(from: &pair.client)
        after = try MovingConnections.record(from: &pair.client)
        original = pair.intoServer().suspend().encoded()
    }

    private static func record(from peer: inout Connection) throws -> [UInt8] {
        let byte: [UInt8] = [1]
        try peer.send(byte.span.bytes)
        defer { peer.didWrite(peer.outgoingCount) }
        return peer.withOutgoing { $0.withUnsafeBytes { Array($0) } }
    }

    /// Makes every connection anew, in the midst of its work: ciphers are set up, buffers are there.
    func prepare() throws {
        for slot in slots {
            slot.bytes = nil
            slot.connection = Connection(resuming: try MovingConnections.read(original))
            try MovingConnections.work(&slot.connection!, before)
        }
    }

    /// Nanoseconds from a working connection to the bytes of its snapshot.
    func suspendAll() -> Double {
        let stopwatch = Stopwatch()
        for slot in slots {
            if let connection = slot.connection.take() { slot.bytes = connection.suspend().encoded() }
        }
        return stopwatch.elapsed / Double(slots.count)
    }

    /// Nanoseconds from the bytes to a connection that can receive and send.
    func resumeAll() throws -> Double {
        let stopwatch = Stopwatch()
        for slot in slots {
            if let bytes = slot.bytes.take() {
                slot.connection = Connection(resuming: try MovingConnections.read(bytes))
            }
        }
        return stopwatch.elapsed / Double(slots.count)
    }

    /// Nanoseconds to open the first record and to seal one: the ciphers are set up on use.
    func workAll() throws -> Double {
        let stopwatch = Stopwatch()
        for slot in slots { try MovingConnections.work(&slot.connection!, after) }
        return stopwatch.elapsed / Double(slots.count)
    }

    private static func read(_ bytes: borrowing SecretBytes) throws -> Snapshot {
        try bytes.withUnsafeBytes { (bytes) throws(SnapshotError) in try Snapshot(decoding: bytes.bytes) }
    }

    private static func work(_ connection: inout Connection, _ record: [UInt8]) throws {
        connection.receive(record.span.bytes)
        guard case .applicationData(let count) = try connection.nextEvent() else {
            throw BenchmarkError("a record did not hold data")
        }
        connection.consumeUnread(count)
        let byte: [UInt8] = [1]
        try connection.send(byte.span.bytes)
        connection.didWrite(connection.outgoingCount)
    }
}
