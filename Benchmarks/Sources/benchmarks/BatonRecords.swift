import CAllocations
import TLSRecords

/// Records through a pair of Baton connections, in rounds of `count`.
struct BatonRecords: ~Copyable {
    private var pair: ConnectedPair
    private let plaintext: [UInt8]
    private let count: Int
    private var wire: [UInt8]
    private var lengths: [Int] = []
    private var target: [UInt8]
    /// Sees to it that what is lent is looked at.
    private(set) var sum = 0

    init(_ suite: CipherSuite, _ credentials: Credentials, size: Int, count: Int) throws {
        pair = try ConnectedPair(suite, credentials)
        plaintext = [UInt8](repeating: 7, count: size)
        wire = [UInt8](repeating: 0, count: count * (size + 64))
        target = [UInt8](repeating: 0, count: size)
        lengths.reserveCapacity(count)
        self.count = count
    }

    /// Nanoseconds to seal a record; the sealed bytes are lent as to write(2).
    mutating func seal() throws -> Double {
        let stopwatch = Stopwatch()
        try sealAll()
        return stopwatch.elapsed / Double(count)
    }

    /// Nanoseconds to receive and open a record, whose plaintext is lent; or copied to the application's buffer, as
    /// SSL_read does.
    mutating func open(copyingOut: Bool = false) throws -> Double {
        try prepareToOpen()
        let stopwatch = Stopwatch()
        try openAll(copyingOut: copyingOut)
        return stopwatch.elapsed / Double(count)
    }

    /// Heap allocations for each record sealed.
    mutating func sealingAllocations() throws -> Double {
        allocations_arm()
        try sealAll()
        return Double(allocations_disarm()) / Double(count)
    }

    /// Heap allocations for each record received and opened.
    mutating func openingAllocations() throws -> Double {
        try prepareToOpen()
        allocations_arm()
        try openAll(copyingOut: false)
        return Double(allocations_disarm()) / Double(count)
    }

    private mutating func sealAll() throws {
        // Taken apart: a span of one part is lent while another part changes.
        let plaintext = plaintext
        for _ in 0..<count {
            try pair.client.send(plaintext.span.bytes)
            let waiting = pair.client.outgoingCount
            sum &+= pair.client.withOutgoing { Int($0.unsafeLoad(fromByteOffset: 5, as: UInt8.self)) }
            pair.client.didWrite(waiting)
        }
    }

    private mutating func prepareToOpen() throws {
        lengths.removeAll(keepingCapacity: true)
        let plaintext = plaintext
        var position = 0
        for _ in 0..<count {
            try pair.client.send(plaintext.span.bytes)
            let length = pair.client.outgoingCount
            pair.client.withOutgoing { record in
                record.withUnsafeBytes { record in
                    wire.withUnsafeMutableBytes { wire in
                        UnsafeMutableRawBufferPointer(rebasing: wire[position...]).copyMemory(from: record)
                    }
                }
            }
            pair.client.didWrite(length)
            lengths.append(length)
            position += length
        }
    }

    private mutating func openAll(copyingOut: Bool) throws {
        let wire = wire
        var position = 0
        for length in lengths {
            pair.server.receive(wire.span.bytes.extracting(position..<position + length))
            guard case .applicationData(let count) = try pair.server.nextEvent() else {
                throw BenchmarkError("a record did not hold data")
            }
            if copyingOut {
                sum &+= BatonRecords.read(from: &pair.server, to: &target)
            } else {
                sum &+= pair.server.withUnread { Int($0.unsafeLoad(fromByteOffset: 0, as: UInt8.self)) }
                pair.server.consumeUnread(count)
            }
            position += length
        }
    }

    private static func read(from connection: inout Connection, to target: inout [UInt8]) -> Int {
        target.withUnsafeMutableBytes { target in
            var output = OutputRawSpan(buffer: target, initializedCount: 0)
            connection.read(into: &output)
            return output.finalize(for: target)
        }
    }
}
