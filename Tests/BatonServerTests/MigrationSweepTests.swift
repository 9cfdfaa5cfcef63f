import Testing

@testable import BatonServer

@Suite("Which sessions a sweep of a drain offers, and which are left")
struct MigrationSweepTests {
    @Test("each session is offered once, the last first, and what cannot leave is tried again after all others")
    func order() {
        var sweep = MigrationSweep(number: 7, waiting: [1, 2, 3, 4])
        #expect(sweep.left == 4)
        #expect(sweep.next() == 4 && sweep.next() == 3)
        sweep.putBack([4, 3])
        #expect(sweep.left == 4)
        #expect((0..<5).map { _ in sweep.next() } == [2, 1, 3, 4, nil])
        #expect(sweep.left == 0)
        sweep.putBack([])
        #expect(sweep.next() == nil)
    }

    @Test("the mark of a sweep tells it from every other")
    func marks() {
        #expect(MigrationSweep.mark(0x0102_0304_0506_0708) == [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(MigrationSweep.mark(.max) == [UInt8](repeating: 255, count: 8))
    }
}
