import Crypto
import Foundation
import Libc
import Synchronization

/// The four ends of the demo's two streams, each on a thread of its own: random bytes in, digests out.
final class DemoStreams: Sendable {
    /// One end: which bytes passed it.
    struct End: Sendable {
        var count = 0
        var digest: [UInt8]?
        var failure: String?
    }

    private struct State {
        var ends = [End](repeating: End(), count: 4)
        var running = 0
    }

    private let state = Mutex(State())
    private let total: Int

    enum Place: Int {
        case clientSends, backendReceives, backendSends, clientReceives
    }

    init(total: Int) { self.total = total }

    func end(_ place: Place) -> End { state.withLock { $0.ends[place.rawValue] } }

    /// Bytes that have passed all four ends.
    var progress: Int { state.withLock { $0.ends.reduce(0) { $0 + $1.count } } }

    /// Whether every end has seen all its bytes, or has failed.
    var isDone: Bool { state.withLock { $0.running == 0 } }

    /// Writes random bytes to `descriptor` until all have been taken.
    func startWriting(_ place: Place, to descriptor: Int32) {
        start(place) { [total] report in
            var generator = RandomBytes()
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            var digest = SHA256()
            var left = total
            while left > 0 {
                let count = min(left, buffer.count)
                buffer.withUnsafeMutableBytes { generator.fill($0) }
                let chunk = buffer[..<count]
                digest.update(data: chunk)
                try chunk.withUnsafeBytes { try DemoStreams.writeAll($0, to: descriptor) }
                left -= count
                report(count)
            }
            return Array(digest.finalize())
        }
    }

    /// Reads `total` bytes from `descriptor`.
    ///
    /// gnutls-cli writes its output byte by byte. A reader that is always waiting would be woken for each of them, and
    /// the two would take turns; one that looks only every few milliseconds costs the writer nothing.
    func startReading(_ place: Place, from descriptor: Int32) {
        start(place) { [total] report in
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            var digest = SHA256()
            var left = total
            while left > 0 {
                let count = read(descriptor, &buffer, min(left, buffer.count))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw Failure("the stream ended \(left) bytes too early") }
                digest.update(data: buffer[..<count])
                left -= count
                report(count)
                if count < 4096, left > 0 { usleep(2000) }
            }
            return Array(digest.finalize())
        }
    }

    private func start(_ place: Place, _ body: @escaping @Sendable (_ report: (Int) -> Void) throws -> [UInt8]) {
        state.withLock { $0.running += 1 }
        let thread = Thread { [self] in
            let result = Result { try body { count in state.withLock { $0.ends[place.rawValue].count += count } } }
            state.withLock {
                switch result {
                case .success(let digest): $0.ends[place.rawValue].digest = digest
                case .failure(let error): $0.ends[place.rawValue].failure = "\(place): \(error)"
                }
                $0.running -= 1
            }
        }
        thread.start()
    }

    private static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure("nobody takes the bytes: \(String(cString: strerror(errno)))") }
            rest = rest.dropFirst(count)
        }
    }
}
