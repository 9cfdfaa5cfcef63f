import BatonConfiguration
import BatonServer
import StockPeers
import Testing

/// Tests that load a machine by themselves, one after the other.
@Suite(.serialized)
enum SoakTests {}

extension SoakTests {
    @Suite(.serialized, .timeLimit(.minutes(10)))
    struct StockClientTests {
        @Test("every stock client stays connected, data both ways all the time, through twenty upgrades")
        func upgrades() throws {
            let clients = try StockClients(workers: 2, moveEvery: 0)
            var fronts: Set<Int32> = [try clients.server.frontID()]
            for _ in 0..<20 { fronts.insert(try clients.server.upgrade().to) }
            #expect(fronts.count == 21)
            try clients.end()
            _ = try clients.server.waitUntil { $0.moves.handoff >= 20 * StockClients.count }
        }

        @Test("every stock client works with a server that moves its connection after every record")
        func moves() throws {
            let clients = try StockClients(workers: 3, moveEvery: 1)
            _ = try clients.server.waitUntil { $0.moves.handoff > 500 }
            try clients.end()
        }
    }
}
