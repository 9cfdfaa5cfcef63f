import Foundation
import Glibc
import HostLab
import Synchronization
import Testing

/// A stream of bytes that anyone can make again from its position, so that a byte that is lost, repeated or exchanged
/// is found where it happens.
struct Bulk {
    private var state: UInt64

    init(seed: UInt64 = 0x9E37_79B9_7F4A_7C15) { state = seed }

    /// The next `count` bytes (xorshift64).
    mutating func next(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: (count + 7) & ~7)
        bytes.withUnsafeMutableBytes { raw in
            let words = raw.bindMemory(to: UInt64.self)
            for index in words.indices {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                words[index] = state
            }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// The first `count` bytes of a stream.
    static func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
        var stream = Bulk(seed: seed)
        return stream.next(count)
    }

    static let piece = 1 << 15

    /// Sends the stream until `isOver` and checks what comes back, both at once, to its end.
    static func exchange(_ client: Int32, until isOver: @escaping @Sendable () -> Bool) throws {
        let sent = Mutex(0)
        let done = DispatchSemaphore(value: 0)
        let failure = Mutex<(any Error)?>(nil)
        let sender = Thread {
            var source = Bulk()
            do {
                while !isOver() {
                    try Sockets.writeAll(client, source.next(piece))
                    sent.withLock { $0 += 1 }
                }
            } catch {
                failure.withLock { $0 = error }
            }
            shutdown(client, Int32(SHUT_WR))
            done.signal()
        }
        sender.start()
        defer { done.wait() }
        var expected = Bulk()
        var received = 0
        var buffer: [UInt8] = []
        try Sockets.readToEnd(client) { bytes in
            buffer += bytes
            while buffer.count >= piece {
                if buffer.prefix(piece) != expected.next(piece)[...] { Issue.record("piece \(received) differs") }
                buffer.removeFirst(piece)
                received += 1
            }
        }
        done.wait()
        done.signal()
        if let error = failure.withLock({ $0 }) { throw error }
        #expect(buffer.isEmpty)
        #expect(received == sent.withLock { $0 })
    }
}
