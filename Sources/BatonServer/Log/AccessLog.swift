internal import BatonConfiguration
internal import BatonCore
internal import Foundation
internal import Libc
internal import Logging
internal import Synchronization

/// The access log of this process: a line for each connection, by whoever has it at its end. Nobody who writes one waits.
final class AccessLog: Sendable {
    /// The one that this process writes to.
    static let process = AccessLog()

    private struct State {
        var target: AccessLogTarget?
        var format = AccessLogFormat.json
        var queue: LogQueue?
        /// By queues that there were before.
        var dropped = 0
        var throttle = LineThrottle<String>(most: 10, interval: 1_000_000_000)
        /// Records of which the last was held back, by their kind.
        var heldBack: [String: (record: AccessRecord, count: Int)] = [:]
        var isTellingHeldBack = false
    }

    private let state = Mutex(State())

    /// Writes from now on what the configuration says, where it says.
    func use(_ configuration: Configuration) {
        let log = Logger(label: "baton.access")
        state.withLock { state in
            state.format = configuration.accessLogFormat
            guard configuration.accessLog != state.target else { return }
            state.target = configuration.accessLog
            if let former = state.queue {
                state.dropped += former.droppedLines
                former.finish()
            }
            state.queue = configuration.accessLog.map { target in
                switch target {
                case .file(let path): LogQueue(AccessFileSink(path, log))
                case .standardOutput: LogQueue(DescriptorSink(STDOUT_FILENO, notes: false))
                case .syslog(let path): LogQueue(SyslogSink(path, log))
                }
            }
        }
    }

    /// Whether there is one.
    var isOn: Bool { state.withLock { $0.queue != nil } }

    /// How many lines could not be written.
    var droppedLines: Int { state.withLock { $0.dropped + ($0.queue?.droppedLines ?? 0) } }

    /// Waits until everything has been written, but not longer than this.
    func flush(within time: Duration) {
        tellHeldBack()
        state.withLock { $0.queue }?.flush(within: time)
    }

    /// A connection has ended.
    ///
    /// - Parameter record: made only if there is a log.
    func write(_ record: @autoclosure () -> AccessRecord) {
        guard let (queue, format) = state.withLock({ state in state.queue.map { ($0, state.format) } }) else { return }
        queue.append(record().line(format, at: WallClock.milliseconds))
    }

    // MARK: What strangers can bring about

    /// A connection has ended before it was one. There are at most ten lines of a kind in a second; then one says how many there
    /// were besides.
    ///
    /// - Parameter kind: what they are counted under.
    func writeSome(_ kind: String, _ record: @autoclosure () -> AccessRecord) {
        guard isOn else { return }
        var record = record()
        let (isAdmitted, mustTell) = state.withLock { state -> (Bool, Bool) in
            guard state.throttle.admit(kind, now: MonotonicTime.now) != nil else {
                state.heldBack[kind] = (record, (state.heldBack[kind]?.count ?? 0) + 1)
                defer { state.isTellingHeldBack = true }
                return (false, !state.isTellingHeldBack)
            }
            record.unlogged = state.heldBack.removeValue(forKey: kind)?.count
            return (true, false)
        }
        if isAdmitted { write(record) }
        if mustTell {
            DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(1)) { self.tellHeldBack() }
        }
    }

    private func tellHeldBack() {
        let untold = state.withLock { state in
            defer { state.heldBack = [:] }
            state.isTellingHeldBack = false
            return state.heldBack.sorted { $0.key < $1.key }.map(\.value)
        }
        for (record, count) in untold {
            // The last of them stands for all.
            var record = record
            record.unlogged = count - 1
            write(record)
        }
    }
}
