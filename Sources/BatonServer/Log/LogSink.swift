internal import Foundation
internal import Libc

/// What a `LogQueue` writes to, on its thread.
protocol LogSink: Sendable {
    /// The most bytes that are written at once, unless a single line has more.
    var batchSize: Int { get }
    /// Writes whole lines, and waits as long as the reader does. `false`: nothing more is taken now, and the lines are lost.
    func write(_ bytes: [UInt8]) -> Bool
    /// The line that stands where `count` lines are missing; `nil`: none does.
    func note(missing count: Int) -> String?
}

/// A descriptor. It is not made non-blocking: it is an open file description that others have, too.
struct DescriptorSink: LogSink {
    private let descriptor: CInt
    private let notes: Bool

    /// - Parameters:
    ///   - descriptor: remains the caller's, and open.
    ///   - notes: whether a line says where others are missing.
    init(_ descriptor: CInt, notes: Bool = true) {
        self.descriptor = descriptor
        self.notes = notes
    }

    /// What a pipe takes at once, so that lines of several processes do not mix (PIPE_BUF, pipe(7)).
    var batchSize: Int { 4_096 }

    func note(missing count: Int) -> String? {
        notes ? "baton: \(count) lines of the log were dropped: its reader stood still, or there was no room" : nil
    }

    func write(_ bytes: [UInt8]) -> Bool { Self.write(bytes, to: descriptor) == bytes.count }

    /// - Returns: how many bytes were taken.
    static func write(_ bytes: [UInt8], to descriptor: CInt) -> Int {
        var written = 0
        while written < bytes.count {
            let result = bytes.withUnsafeBytes {
                Libc.write(descriptor, $0.baseAddress.map { $0 + written }, bytes.count - written)
            }
            if result >= 0 {
                written += result
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                // Somebody else has made it non-blocking.
                var polled = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&polled, 1, 1_000)
            default: return written
            }
        }
        return written
    }
}
