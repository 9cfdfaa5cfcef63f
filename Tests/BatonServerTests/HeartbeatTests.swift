import Testing

@testable import BatonServer

@Suite("Whether a worker answers")
struct HeartbeatTests {
    /// Beats that have passed, from 1, with what each brings about.
    private func steps(
        _ heartbeat: inout Heartbeat, beats: Int, limit: UInt64? = nil
    ) -> [(beat: Int, steps: [Heartbeat.Step])] {
        (0..<beats).map { ($0, heartbeat.beat(at: UInt64($0) * Heartbeat.interval, limit: limit)) }
            .filter { !$0.1.isEmpty }
    }

    @Test("one that answers is asked again and again, and nothing else happens")
    func alive() {
        var heartbeat = Heartbeat()
        for beat in UInt64(0)..<100 {
            let steps = heartbeat.beat(at: beat, limit: Heartbeat.interval * 2)
            let wasSilent = heartbeat.answered()
            #expect(steps == [.ask] && !wasSilent)
        }
    }

    @Test(
        "one that does not is asked once, left out after six beats, and another is started beside it after ten seconds")
    func silent() {
        var heartbeat = Heartbeat()
        let beats = steps(&heartbeat, beats: 28)
        #expect(beats.map(\.beat) == [0, 6, 26, 27])
        #expect(beats.map(\.steps) == [[.ask], [.leaveOut], [.replace], [.replace]])
        #expect(heartbeat.silentSince == 6 * Heartbeat.interval)
        let wasSilent = heartbeat.answered()
        let isSilent = heartbeat.answered()
        #expect(wasSilent && !isSilent && heartbeat.silentSince == nil)
        let next = heartbeat.beat(at: 0, limit: nil)
        #expect(next == [.ask])
    }

    @Test(
        "it is killed once, at its limit, and no other is started beside it from then on",
        arguments: [(1, 2), (2, 4), (3, 6), (10, 20)])
    func killed(seconds: UInt64, beat: Int) {
        var heartbeat = Heartbeat()
        let beats = steps(&heartbeat, beats: 40, limit: seconds * 1_000_000_000)
        #expect(beats.filter { $0.steps.contains(.kill) }.map(\.beat) == [beat])
        #expect(!beats.contains { $0.steps.contains(.replace) })
    }

    @Test("a front that has sent no beat holds nobody silent, however much time has passed")
    func stoppedFront() {
        var heartbeat = Heartbeat()
        let first = heartbeat.beat(at: 0, limit: nil)
        let second = heartbeat.beat(at: 3_600_000_000_000, limit: 2_000_000_000)
        #expect(first == [.ask] && second.isEmpty && heartbeat.silentSince == nil)
    }
}
