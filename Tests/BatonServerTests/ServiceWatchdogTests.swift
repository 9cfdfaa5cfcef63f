import Testing

@testable import BatonServer

@Suite("When the service manager is told that the server lives")
struct ServiceWatchdogTests {
    private let millisecond: UInt64 = 1_000_000

    private func watchdog() -> ServiceWatchdog { ServiceWatchdog(limit: 400_000, now: 0) }

    @Test("four times in its time, while the front answers")
    func answers() {
        var watchdog = watchdog()
        for time in stride(from: UInt64(0), through: 1_000, by: 100) {
            #expect(watchdog.look(now: time * millisecond, front: 7) == .init(tells: true, asks: true))
            #expect(watchdog.look(now: time * millisecond + 1, front: 7) == .init())
            watchdog.answered(7)
        }
    }

    @Test("not while the front has been asked and does not answer, and again when it does")
    func silent() {
        var watchdog = watchdog()
        #expect(watchdog.look(now: 0, front: 7).tells)
        for time in [100, 200, 3_000] { #expect(watchdog.look(now: UInt64(time) * millisecond, front: 7) == .init()) }
        // Another's answer is none.
        watchdog.answered(8)
        #expect(watchdog.look(now: 4_000 * millisecond, front: 7) == .init())
        watchdog.answered(7)
        #expect(watchdog.look(now: 5_000 * millisecond, front: 7) == .init(tells: true, asks: true))
    }

    @Test("a front that has taken another's place is asked anew, and where there is none the keeper lives")
    func others() {
        var watchdog = watchdog()
        _ = watchdog.look(now: 0, front: 7)
        #expect(watchdog.look(now: 100 * millisecond, front: 8) == .init(tells: true, asks: true))
        #expect(watchdog.look(now: 200 * millisecond, front: nil) == .init(tells: true, asks: false))
        #expect(watchdog.look(now: 300 * millisecond, front: nil) == .init(tells: true, asks: false))
    }
}
