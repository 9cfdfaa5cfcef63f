import BatonCore
import Testing

@Suite("A queue of bytes")
struct ByteQueueTests {
    @Test("gives back what was put in, in whatever pieces both are done", arguments: [1, 7, 64, 511, 512, 5000])
    func order(piece: Int) {
        let stream = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var queue = ByteQueue()
        var taken: [UInt8] = []
        var put = 0
        while taken.count < stream.count {
            let next = min(piece, stream.count - put)
            stream[put..<put + next].withUnsafeBytes { queue.append($0) }
            put += next
            // A little stays behind until the end, so that the queue slides and grows with bytes in it.
            let out = put == stream.count ? queue.count : queue.count * 2 / 3
            queue.withBytes { taken += $0[..<out] }
            queue.consume(out)
        }
        #expect(taken == stream)
        let left = queue.count
        #expect(left == 0)
    }

    @Test("gives its memory back when it is empty, and not before")
    func release() {
        var queue = ByteQueue()
        [1, 2, 3].withUnsafeBytes { queue.append($0) }
        queue.releaseIfEmpty()
        let kept = queue.capacity
        #expect(kept > 0)
        queue.removeAll()
        queue.releaseIfEmpty()
        let released = queue.capacity
        #expect(released == 0)
        [UInt8(4)].withUnsafeBytes { queue.append($0) }
        let after = queue.withBytes { Array($0) }
        #expect(after == [4])
    }

    @Test("the fields written to it are read one by one, and refused cut off or out of order")
    func fields() throws {
        var queue = ByteQueue()
        queue.appendField(1, UInt16(0x0102))
        queue.appendField(2, "text")
        let written = queue.withBytes { Array($0) }
        try written.withUnsafeBytes { bytes in
            var reader = FieldReader(bytes)
            let first = try #require(try reader.next())
            #expect(first.tag == 1 && first.integer(UInt16.self) == 0x0102 && first.integer(UInt8.self) == nil)
            let second = try #require(try reader.next())
            #expect(second.tag == 2 && second.string(1...10) == "text" && second.string(5...10) == nil)
            #expect(try reader.next() == nil)
        }
        for count in 1..<7 {
            written.withUnsafeBytes { bytes in
                var reader = FieldReader(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                #expect(throws: FieldReader.Failure.cutOff) { try reader.next() }
            }
        }
        let doubled = Array(written[..<7]) + written[..<7]
        try doubled.withUnsafeBytes { bytes in
            var reader = FieldReader(bytes)
            _ = try reader.next()
            #expect(throws: FieldReader.Failure.outOfOrder(1)) { try reader.next() }
        }
    }
}
