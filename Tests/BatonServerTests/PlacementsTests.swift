import BatonConfiguration
import BatonCore
import Testing

@testable import BatonServer

struct PlacementsTests {
    private let source = IPAddress("192.0.2.1")!

    @Test("a connection of which its worker never tells is counted for a bounded time, and released once")
    func doubt() {
        var placements = Placements()
        var limits = ConnectionLimits(total: 2, perSource: 2)
        for number in UInt64(1)...2 {
            #expect(throws: Never.self) { try limits.admit(from: source) }
            placements.add(number, from: source, at: number)
        }
        #expect(throws: ConnectionLimits.Refusal.total) { try limits.admit(from: source) }
        #expect(placements.removeOverdue(at: Placements.patience).isEmpty)
        for source in placements.removeOverdue(at: Placements.patience + 1) { limits.release(from: source) }
        #expect(placements.count == 1 && limits.count == 1)
        #expect(throws: Never.self) { try limits.admit(from: source) }
        // Its worker has it after all, and counts it by itself.
        #expect(placements.remove(1) == nil)
        #expect(placements.remove(2) == .some(.some(source)))
        #expect(placements.isEmpty)
    }

    @Test("one without a source is found again as such, and all of a worker that has died are told")
    func sources() {
        var placements = Placements()
        placements.add(1, from: nil, at: 0)
        #expect(placements.remove(1) == .some(nil))
        placements.add(2, from: nil, at: 0)
        placements.add(3, from: source, at: 5)
        #expect(Set(placements.removeAll()) == [nil, source] && placements.isEmpty)
    }
}
