internal import BatonCore
internal import Foundation
internal import Libc
internal import Synchronization

/// Lines on their way to where they are kept, which a thread of its own writes in their order. Whoever appends a line never waits:
/// while the reader stands still (a full pipe, a stopped terminal) lines are kept up to a limit, and counted beyond it; what
/// takes nothing (a full disk, a reader that is gone) loses lines, which are counted, too. The first that can be written again
/// say how many are missing.
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
        /// Nothing more comes.
        var isFinished = false
    }

    /// The most bytes that wait.
    static let capacity = 1 << 20
    /// Once nothing is taken it is tried again after as long, in milliseconds.
    private static let retryDelay: UInt32 = 100

    private let sink: any LogSink
    private let state = Mutex(State())
    /// Signalled for each line that comes when there was none.
    private let work = DispatchSemaphore(value: 0)

    /// - Parameter sink: used on the queue's thread only.
    init(_ sink: any LogSink) {
        self.sink = sink
        startThread("baton-log") { [self] in while writeNext() {} }
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

    /// Waits until nothing is left that can be written, but not longer than this. What has been refused is lost, and the count
    /// of it comes with the next line.
    func flush(within time: Duration) {
        let deadline = Deadline.after(time)
        while state.withLock({ $0.isWriting || !$0.lines.isEmpty }), !deadline.hasPassed {
            usleep(500)
        }
    }

    /// Nothing more comes: the thread ends when it has written what there is.
    func finish() {
        state.withLock { $0.isFinished = true }
        work.signal()
    }

    // MARK: The thread

    /// - Returns: whether more may come.
    private func writeNext() -> Bool {
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
            guard !lines.isEmpty || untold > 0 else { return !state.withLock { $0.isFinished } }
            write(lines, missing: untold)
        }
    }

    /// Lines that were kept stand before those that were lost.
    private func write(_ lines: [[UInt8]], missing: Int) {
        var rest = lines[...]
        while !rest.isEmpty {
            let batch = nextBatch(of: &rest)
            guard sink.write(batch.bytes) else {
                lose(batch.count + rest.count, again: missing)
                return
            }
        }
        guard missing > 0 else { return }
        if let note = sink.note(missing: missing), !sink.write(Array((note + "\n").utf8)) { lose(0, again: missing) }
    }

    /// Whole lines that fit the batch, at least one.
    private func nextBatch(of lines: inout ArraySlice<[UInt8]>) -> (bytes: [UInt8], count: Int) {
        var bytes: [UInt8] = []
        var count = 0
        while let line = lines.first, count == 0 || bytes.count + line.count <= sink.batchSize {
            bytes += line
            count += 1
            _ = lines.popFirst()
        }
        return (bytes, count)
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
}

extension LogQueue {
    /// Writes to a descriptor, which remains the caller's, and open.
    convenience init(_ descriptor: CInt) { self.init(DescriptorSink(descriptor)) }
}
