import Testing

@testable import BatonServer

@Suite("Who has taken a reloaded configuration")
struct ReloadProgressTests {
    private let report = ReloadReport(
        pid: 1, listeners: 1, certificates: 0, opened: [], closed: [], notReloaded: [], durationMilliseconds: 0)

    @Test("it is over when the front and every worker has it, in any order")
    func orders() {
        for frontIsFirst in [true, false] {
            var progress = ReloadProgress(turn: 7, workers: [1, 2])
            if frontIsFirst { progress.applied(report) }
            progress.answered(2, turn: 7, failure: nil)
            #expect(progress.outcome == nil && progress.missing == [1])
            progress.answered(1, turn: 7, failure: nil)
            if !frontIsFirst {
                #expect(progress.outcome == nil && progress.missing.isEmpty)
                progress.applied(report)
            }
            #expect(progress.outcome == .taken(report))
        }
    }

    @Test("a server without workers has it at once")
    func noWorkers() {
        var progress = ReloadProgress(turn: 1, workers: [])
        progress.applied(report)
        #expect(progress.outcome == .taken(report))
    }

    @Test("an answer to another change, or of a worker that was not told, counts for nothing")
    func strangers() {
        var progress = ReloadProgress(turn: 7, workers: [1])
        progress.applied(report)
        progress.answered(1, turn: 6, failure: "old")
        progress.answered(2, turn: 7, failure: "not told")
        #expect(progress.outcome == nil && progress.missing == [1])
        progress.answered(1, turn: 7, failure: nil)
        #expect(progress.outcome == .taken(report))
    }

    @Test("a worker that dies is not waited for, and one that keeps what it had is named once")
    func failures() {
        var progress = ReloadProgress(turn: 7, workers: [1, 2, 3])
        progress.applied(report)
        progress.answered(3, turn: 7, failure: "no file")
        progress.answered(3, turn: 7, failure: "again")
        progress.ended(1)
        #expect(progress.outcome == nil && progress.missing == [2])
        progress.answered(2, turn: 7, failure: nil)
        #expect(progress.outcome == .kept(["worker 3: no file"]))
    }
}
