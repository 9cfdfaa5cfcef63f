import Testing

@testable import BatonServer

@Suite("What the server has counted")
struct TallyTests {
    @Test("what a front counts is added to what those before it have, by reason")
    func fronts() {
        var tally = Tally(counts: FrontCounts(handshakes: ["TLS 1.3 A": 2], refusals: ["no_route": 1], handedOver: 5))
        tally.handshakeEnded(version: "TLS 1.3", cipher: "A")
        tally.handshakeEnded(version: "TLS 1.2", cipher: "A")
        tally.handshakeFailed("timed_out")
        tally.refused(.noRoute)
        tally.refused(.connectionsPerSource)
        tally.delivered(handedOver: 3, returned: 0, failures: ["busy": 1])
        #expect(
            tally.counts
                == FrontCounts(
                    handshakes: ["TLS 1.3 A": 3, "TLS 1.2 A": 1], handshakeFailures: ["timed_out": 1],
                    refusals: ["no_route": 2, "connections_per_source": 1], handedOver: 8, handoffFailures: ["busy": 1])
        )
    }

    @Test("what is gone is what processes told last, without their connections")
    func gone() {
        var first = WorkerReport()
        first.connections = 7
        first.movesIn = 2
        first.lost = ["poisoned": 1]
        var second = WorkerReport()
        second.movesIn = 3
        second.lost = ["poisoned": 1, "no_room": 4]
        var tally = Tally(predecessors: first)
        tally.workerEnded(second)
        tally.delivered(handedOver: 1, returned: 2, failures: [:])
        let gone = tally.gone(nil)
        #expect(gone.connections == 0 && gone.movesIn == 5 && gone.movesFailed == 2)
        #expect(gone.lost == ["poisoned": 2, "no_room": 4])
    }

    @Test("moves between hosts count once, before and after the end of the process that made them")
    func migration() {
        let counts = MigrationCounts(arrived: 1, departed: 2, failed: 4)
        var tally = Tally()
        let before = tally.gone(counts)
        #expect(before.migrations == 3 && before.movesFailed == 4)
        tally.migrationEnded(counts)
        #expect(tally.gone(nil) == before)
    }

    @Test("the last word of the server before this one takes the place of what it had told")
    func predecessor() {
        var told = WorkerReport()
        told.movesOut = 1
        var last = WorkerReport()
        last.movesOut = 9
        var tally = Tally(predecessors: told, counts: FrontCounts(handedOver: 1))
        tally.delivered(handedOver: 10, returned: 0, failures: [:])
        tally.predecessorEnded(nil, nil)
        #expect(tally.gone(nil).movesOut == 1 && tally.counts.handedOver == 11)
        tally.predecessorEnded(last, FrontCounts(handedOver: 4))
        #expect(tally.gone(nil).movesOut == 9 && tally.counts.handedOver == 14)
    }
}
