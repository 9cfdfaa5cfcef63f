import Testing

@testable import BatonServer

@Suite("How many workers")
struct WorkerNumberTests {
    @Test(
        "as many are started or taken out of service as differ from what a command, or else the configuration, says",
        arguments: [
            (nil, 4, 0, .start(4)), (nil, 4, 3, .start(1)), (nil, 4, 4, nil), (nil, 4, 6, .retire(2)),
            (2, 4, 4, .retire(2)), (8, 4, 4, .start(4)), (4, 1, 4, nil),
        ] as [(Int?, Int, Int, WorkerCount.Change?)])
    func change(asked: Int?, configured: Int, active: Int, change: WorkerCount.Change?) {
        #expect(WorkerCount(asked: asked).change(active: active, configured: configured) == change)
    }

    @Test("a number that was asked for is forgotten when the configuration has another")
    func forgetting() {
        var count = WorkerCount()
        count.ask(for: 7)
        #expect(count.asked == 7 && count.wanted(configured: 2) == 7)
        count.ask(for: nil)
        #expect(count.asked == nil && count.wanted(configured: 2) == 2)
    }

    @Test(
        "one that was ready is replaced at once; one that ends before that, after ever longer delays of five seconds at most"
    )
    func delays() {
        var count = WorkerCount()
        let first = count.hasFailed(wasReady: true)
        #expect(first == nil)
        let delays: [Duration?] = (0..<80).map { _ in count.hasFailed(wasReady: false) }
        let growing: [Duration?] = [200, 400, 800, 1_600, 3_200].map { .milliseconds($0) }
        #expect(Array(delays[..<5]) == growing)
        #expect(delays[5...].allSatisfy { $0 == .seconds(5) })
        count.hasStarted()
        let afterStart = count.hasFailed(wasReady: false)
        #expect(afterStart == .milliseconds(200))
        let ofReady = count.hasFailed(wasReady: true)
        #expect(ofReady == nil)
        let afterReady = count.hasFailed(wasReady: false)
        #expect(afterReady == .milliseconds(200))
    }
}
