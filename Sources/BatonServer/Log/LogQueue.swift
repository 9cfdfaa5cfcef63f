internal import BatonCore
internal import Foundation
internal import Libc
internal import Synchronization

/// Lines on their way to a descriptor, which a thread of its own writes in their order. Whoever appends a line never waits:
/// while the reader stands still (a full pipe, a stopped terminal) lines are kept up to a limit, and counted beyond it; a
/// descriptor that takes nothing (a full disk, a reader that is gone) loses lines, which are counted, too. The first that
/// can be written again say how many are missing.
///
/// The descriptor is not made non-blocking: it is an open file description that others have, too.
final class LogQueue: Sendable {
    private struct State {
        var lines: [[UInt8]] = []
        /// Of `lines`.
        var size = 0
        /// What the writer has taken and not written yet.
        var isWriting = false
        /// In all.
        var dropped = 0
        /// Of those the ones that the log does not tell of yet.
        var untold = 0
    }

    /// The most bytes that wait.
    static let capacity = 1 << 20
    /// Once the descriptor takes nothing it is tried again after as long, in milliseconds.
    private static let retryDelay: UInt32 = 100

    private let descriptor: CInt
    private let state = Mutex(State())
    /// Signalled for each line that comes when there was none.
    private let work = DispatchSemaphore(value: 0)

    /// - Parameter descriptor: remains the caller's, and open.
    init(_ descriptor: CInt) {
        self.descriptor = descriptor
        startThread("baton-log") { [self] in while true { writeNext() } }
    }

    /// Appends a line, without its end.
    func append(_ line: String) {
        let bytes = Array(line.utf8) + [UInt8(ascii: "\n")]
        let isFirst = state.withLock { state in
            guard state.size + bytes.count <= Self.capacity else {
                state.dropped += 1
                state.untold += 1
                return false
            }
            state.lines.append(bytes)
            state.size += bytes.count
            return state.lines.count == 1
        }
        if isFirst { work.signal() }
    }

    /// How many lines were lost.
    var droppedLines: Int { state.withLock { $0.dropped } }

    /// Waits until nothing is left that can be written, but not longer than this. What a descriptor has refused is lost,
    /// and the count of it comes with the next line.
    func flush(within time: Duration) {
        let deadline = Deadline.after(time)
        while state.withLock({ $0.isWriting || !$0.lines.isEmpty }), !deadline.hasPassed {
            usleep(500)
        }
    }

    // MARK: The thread

    private func writeNext() {
        work.wait()
        while true {
            let (lines, untold) = state.withLock { state in
                let taken = state.lines
                let untold = state.untold
                state.lines = []
                state.size = 0
                state.untold = 0
                state.isWriting = !taken.isEmpty || untold > 0
                return (taken, untold)
            }
            guard !lines.isEmpty || untold > 0 else { return }
            write(lines, missing: untold)
        }
    }

    /// Lines that were kept stand before those that were lost.
    private func write(_ lines: [[UInt8]], missing: Int) {
        var batch: [UInt8] = []
        var count = 0
        for (index, line) in lines.enumerated() {
            batch += line
            count += 1
            // Half a line is told from a whole one only by what follows; a batch that fits a pipe's buffer is rarely cut.
            guard batch.count >= 4_096 || index == lines.count - 1 else { continue }
            guard write(batch) else {
                lose(count + lines.count - index - 1, again: missing)
                return
            }
            batch = []
            count = 0
        }
        guard missing > 0 else { return }
        let note = "baton: \(missing) lines of the log were dropped: its reader stood still, or there was no room\n"
        if !write(Array(note.utf8)) { lose(0, again: missing) }
    }

    private func lose(_ count: Int, again untold: Int) {
        state.withLock { state in
            state.dropped += count
            state.untold += count + untold
        }
        // Not in a circle; what comes meanwhile waits.
        usleep(Self.retryDelay * 1_000)
        // Told with the next line that comes.
        let isWorthATry = state.withLock { !$0.lines.isEmpty }
        if !isWorthATry { waitForLine() }
    }

    /// Nothing but the count of what is lost is left to write.
    private func waitForLine() {
        state.withLock { $0.isWriting = false }
        work.wait()
    }

    /// Waits as long as the reader does. `false`: it takes nothing.
    private func write(_ bytes: [UInt8]) -> Bool {
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
            default: return false
            }
        }
        return true
    }
}
