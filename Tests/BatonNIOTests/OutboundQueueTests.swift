import BatonCore
import NIOCore
import Testing

@testable import BatonNIO

/// What leaves a connection, at every byte.
@Suite struct OutboundQueueTests {
    typealias Queue = OutboundQueue<Int>

    /// A queue, the ciphertext behind it, and a channel that takes what it is given.
    private struct Sender {
        var queue: Queue
        var ciphertext: [UInt8] = []
        var channel: [ByteBuffer] = []
        /// What the kernel has of the first piece in the channel.
        var taken = 0
        var peer: [UInt8] = []

        init(window: Int = 1 << 20) { queue = Queue(window: window) }

        mutating func fill() {
            while let piece = queue.next(outgoing: ciphertext.count) {
                let buffer: ByteBuffer
                switch piece {
                case .plain(let bytes): buffer = bytes
                case .ciphertext(let count):
                    buffer = ByteBuffer(bytes: ciphertext.prefix(count))
                    ciphertext.removeFirst(count)
                }
                queue.handOver(buffer)
                channel.append(buffer)
            }
        }

        /// The kernel takes up to `count` bytes of what the channel has.
        mutating func take(_ count: Int) {
            for _ in 0..<count {
                guard let first = channel.first else { return }
                peer.append(first.readableBytesView[first.readerIndex + taken])
                taken += 1
                if taken == first.readableBytes {
                    channel.removeFirst()
                    taken = 0
                    queue.confirmFirst()
                }
            }
        }

        var buffered: Int { channel.reduce(0) { $0 + $1.readableBytes } - taken }

        mutating func unsent(taken: UInt64) -> [UInt8]? {
            switch queue.takeUnsent(taken: taken) {
            case .some(let bytes): bytes.withBytes { Array($0) }
            case .none: nil
            }
        }

        mutating func written() -> [Int] {
            var tokens: [Int] = []
            while let token = queue.popWritten() { tokens.append(token) }
            return tokens
        }
    }

    private static let plain: [[UInt8]] = [[1, 2, 3], [], [4], [5, 6, 7, 8]]
    private static let sealed: [UInt8] = [20, 21, 22, 23, 24]
    private static let stream = plain.flatMap { $0 } + sealed

    private func sender(window: Int = 1 << 20) -> Sender {
        var sender = Sender(window: window)
        for (token, bytes) in Self.plain.enumerated() { sender.queue.append(ByteBuffer(bytes: bytes), token) }
        sender.ciphertext = Self.sealed
        sender.queue.wait(4, outgoing: Self.sealed.count)
        return sender
    }

    @Test("plain bytes leave before ciphertext, in their order, whatever the window", arguments: 1...14)
    func order(window: Int) {
        var sender = sender(window: window)
        while sender.peer.count < Self.stream.count {
            sender.fill()
            #expect(sender.buffered > 0 && sender.buffered <= window)
            sender.take(1)
        }
        #expect(sender.peer == Self.stream)
        #expect(sender.queue.next(outgoing: 0) == nil)
        #expect(sender.queue.count == 0 && sender.queue.pendingCount == 0)
    }

    @Test("a write is done when the channel has confirmed its last byte, and not before", arguments: 1...14)
    func tokens(window: Int) {
        var sender = sender(window: window)
        // Where each write ends in the stream; the empty one ends with the one before.
        let ends = [3, 3, 4, 8, 13]
        var done: [Int] = []
        for _ in Self.stream {
            sender.fill()
            sender.take(1)
            done += sender.written()
            // A piece is confirmed as a whole.
            let confirmed = sender.peer.count - sender.taken
            #expect(done == ends.indices.filter { ends[$0] <= confirmed })
        }
        #expect(done == [0, 1, 2, 3, 4])
    }

    @Test("who leaves at any byte takes along exactly what the kernel has not taken", arguments: 1...14, 0...13)
    func leaving(window: Int, taken: Int) throws {
        var sender = sender(window: window)
        sender.queue.begin(at: .max - 1, buffered: 3)
        sender.fill()
        for _ in 0..<taken {
            sender.take(1)
            sender.fill()
        }
        let base: UInt64 = (.max - 1) &+ 3
        let count = try #require(sender.queue.bytesTaken(buffered: sender.buffered, position: base &+ UInt64(taken)))
        #expect(count.taken == UInt64(taken) && count.position == base &+ UInt64(taken))
        let unsent = sender.unsent(taken: count.taken)
        let rest = try #require(unsent)
        #expect(Array(Self.stream.prefix(taken)) + rest + sender.ciphertext == Self.stream)
        #expect(sender.queue.count == 0)
        #expect(sender.queue.next(outgoing: 0) == nil)
        // The writes that are not known to be done go with the bytes.
        let done = sender.written()
        let dropped = sender.queue.dropWaiting()
        #expect(done + dropped == [0, 1, 2, 3, 4])
    }

    @Test("counts that do not agree are noticed")
    func disagreement() {
        var sender = sender()
        sender.queue.begin(at: 1_000, buffered: 0)
        sender.fill()
        sender.take(5)
        for position in 990...1_020 as ClosedRange<UInt64> {
            let answer = sender.queue.bytesTaken(buffered: sender.buffered, position: position)
            #expect((answer != nil) == (position == 1_005), "\(position)")
        }
        #expect(sender.queue.bytesTaken(buffered: sender.buffered, position: nil) == nil)
        #expect(sender.queue.bytesTaken(buffered: 1_000, position: 1_005) == nil)
        // Less was taken than is confirmed, or more than there was.
        for taken in [0, 2, 14, 1_000] as [UInt64] {
            let unsent = sender.unsent(taken: taken)
            #expect(unsent == nil, "\(taken)")
        }
        let unsent = sender.unsent(taken: 5)
        #expect(unsent?.count == 8)
    }

    @Test("where the kernel does not tell its position the channel's count is enough")
    func withoutPosition() {
        var sender = sender()
        sender.fill()
        sender.take(5)
        let answer = sender.queue.bytesTaken(buffered: sender.buffered, position: nil)
        #expect(answer?.taken == 5 && answer?.position == nil)
    }

    @Test("the kernel counts a FIN as a byte, and it is none of the stream")
    func fin() throws {
        var sender = sender()
        sender.queue.begin(at: 0, buffered: 0)
        sender.fill()
        sender.take(Self.stream.count)
        sender.queue.handOverFIN()
        #expect(sender.queue.bytesTaken(buffered: 0, position: 13) == nil)
        let answer = try #require(sender.queue.bytesTaken(buffered: 0, position: 14))
        #expect(answer.taken == 13 && answer.position == 14)
        let unsent = sender.unsent(taken: 13)
        #expect(unsent == [])
    }

    @Test("what was written during the handshake comes out in its order, with the end behind it")
    func held() {
        var queue = Queue(window: 10)
        queue.hold(ByteBuffer(bytes: [1, 2]), 0)
        queue.hold(ByteBuffer(bytes: [3]), nil)
        queue.holdEnd(1)
        #expect(queue.pendingCount == 3 && queue.count == 0)
        #expect(queue.next(outgoing: 0) == nil)
        var seen: [String] = []
        while let entry = queue.popHeld() {
            switch entry {
            case .bytes(let buffer, let token):
                seen.append("\(Array(buffer.readableBytesView)) \(token ?? -1), \(queue.pendingCount) left")
            case .end(let token): seen.append("end \(token ?? -1)")
            }
        }
        #expect(seen == ["[1, 2] 0, 1 left", "[3] -1, 0 left", "end 1"])
    }

    @Test("who waits hears of the end once, and those who wait for the close apart from the others")
    func dropped() {
        var queue = Queue(window: 10)
        queue.append(ByteBuffer(bytes: [1]), 0)
        queue.hold(ByteBuffer(bytes: [2]), 1)
        queue.holdEnd(2)
        queue.waitForClose(3)
        queue.waitForClose(nil)
        #expect(queue.dropWaiting() == [0, 1, 2])
        #expect(queue.dropWaiting() == [])
        #expect(queue.popHeld().map { _ in true } == nil)
        #expect(queue.pendingCount == 1)
        queue.dropBytes()
        #expect(queue.pendingCount == 0)
        #expect(queue.takeCloseTokens() == [3])
        #expect(queue.takeCloseTokens() == [])
    }
}
