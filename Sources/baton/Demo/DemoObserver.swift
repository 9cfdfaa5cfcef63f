import BatonCore
import Foundation
import TLSRecords

/// Watches the owners and the streams until the run is over, and says how it went.
struct DemoObserver {
    let owners: [DemoOwnerProcess]
    let streams: DemoStreams
    var progress: DemoProgressLine

    private var pauses: [UInt64] = []
    private var pids: Set<Int32> = []
    private var lastMove = 0
    private var hasFinished = false
    private var failures: [String] = []

    init(owners: [DemoOwnerProcess], streams: DemoStreams, progress: DemoProgressLine) {
        self.owners = owners
        self.streams = streams
        self.progress = progress
    }

    /// Returns when the last owner has finished, something failed, or nothing has moved for a while.
    ///
    /// - Parameter endStream: called once, when every byte has arrived.
    mutating func watch(stallAfter seconds: UInt64, endStream: () -> Void) {
        var lastProgress = (bytes: -1, at: MonotonicTime.now)
        var hasEnded = false
        var silent: Set<Int> = []
        while !hasFinished, failures.isEmpty, Interruption.signal == nil {
            var polled = owners.indices.map { index in
                pollfd(fd: silent.contains(index) ? -1 : owners[index].descriptor, events: Int16(POLLIN), revents: 0)
            }
            // A time-out only to look at the streams, which have no descriptor to wait for.
            guard poll(&polled, nfds_t(polled.count), 100) >= 0 || errno == EINTR else { return }
            for index in owners.indices where polled[index].revents != 0 {
                guard let lines = owners[index].readLines() else {
                    failures.append("owner \(owners[index].pid) terminated")
                    silent.insert(index)
                    continue
                }
                for line in lines { take(line, from: owners[index].pid) }
            }
            if streams.isDone, !hasEnded {
                hasEnded = true
                failures += places.compactMap { streams.end($0).failure }
                endStream()
            }
            let bytes = streams.progress + pauses.count
            if bytes != lastProgress.bytes { lastProgress = (bytes, MonotonicTime.now) }
            if MonotonicTime.now - lastProgress.at > seconds * 1_000_000_000 {
                failures.append("no byte moved for \(seconds) s")
            }
        }
        // The streams' threads must not outlive the run.
        if !hasEnded { endStream() }
        progress.clear()
    }

    private let places: [DemoStreams.Place] = [.clientSends, .backendReceives, .backendSends, .clientReceives]

    private mutating func take(_ line: DemoLine, from pid: Int32) {
        switch line {
        case .ready: break
        case .owns(let move, let pause, let up, let down):
            pids.insert(pid)
            if move > 0 { pauses.append(pause) }
            lastMove = max(lastMove, Int(move))
            progress.show(owner: pid, move: move, bytesUp: up, bytesDown: down)
        case .finished: hasFinished = true
        case .failed(let why): failures.append("owner \(pid): \(why)")
        }
    }

    func report(
        peer: String, version: TLSVersion, cipher: String, wantedMoves: Int, seconds: Double
    ) -> DemoReport {
        let ends = places.map(streams.end)
        let match =
            ends[0].digest != nil && ends[0].digest == ends[1].digest && ends[2].digest != nil
            && ends[2].digest == ends[3].digest
        var failures = failures
        if lastMove != wantedMoves { failures.append("\(lastMove) moves happened instead of \(wantedMoves)") }
        if !match, failures.isEmpty { failures.append("what was received is not what was sent") }
        return DemoReport(
            moves: lastMove, owners: pids.count, bytesUp: ends[1].count, bytesDown: ends[3].count,
            digestMatch: match, peer: peer, tls: version.description, cipher: cipher,
            pauseMicroseconds: DemoReport.Pause(nanoseconds: pauses), errors: failures.count, failures: failures,
            seconds: seconds)
    }
}
