import Foundation
import Glibc
import HostLab
import HostMigration
import Testing

extension LabTests {
    @Suite("A connection that moves back and forth")
    struct JourneyTests {
        @Test("ping-pong loses and repeats nothing, and the client's TCP notices nothing", arguments: Shape.all)
        func pingPong(_ shape: Shape) async throws {
            let outcome = try await Journey(shape, moves: 6, stride: 64 * 200).run { client, isOver in
                var round = 0
                while !isOver() {
                    round += 1
                    let ping = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: 64)
                    try Sockets.writeAll(client, ping)
                    try #require(try Sockets.readExactly(client, 64) == ping)
                }
                shutdown(client, Int32(SHUT_WR))
                try Sockets.readToEnd(client) { _ in Issue.record("more bytes than were sent") }
            }
            #expect(outcome.moves == 6)
            #expect(outcome.isUndisturbed, "\(outcome)")
        }

        @Test("full-duplex bulk arrives whole and in order", arguments: Shape.all)
        func bulk(_ shape: Shape) async throws {
            let outcome = try await Journey(shape, moves: 6, stride: 2 << 20).run { client, isOver in
                try Bulk.exchange(client, until: isOver)
            }
            #expect(outcome.moves == 6)
            #expect(outcome.isUndisturbed, "\(outcome)")
        }

        @Test("a client that writes one byte at a time is served", arguments: [Shape.plain4, .plain6])
        func singleBytes(_ shape: Shape) async throws {
            let outcome = try await Journey(shape, moves: 4, stride: 500).run { client, isOver in
                var round = 0
                while !isOver() {
                    round += 1
                    let byte = [UInt8(truncatingIfNeeded: round &* 7)]
                    try Sockets.writeAll(client, byte)
                    try #require(try Sockets.readExactly(client, 1) == byte)
                }
                shutdown(client, Int32(SHUT_WR))
                try Sockets.readToEnd(client) { _ in Issue.record("more bytes than were sent") }
            }
            #expect(outcome.moves == 4)
            #expect(outcome.isUndisturbed, "\(outcome)")
        }

        @Test(
            "an idle one with timestamps knows its round trip again without a word of either side", arguments: Shape.all
        )
        func roundTrip(_ shape: Shape) async throws {
            let pair = try await Pair(shape)
            defer { close(pair.client) }
            try Sockets.writeAll(pair.server, [1])
            #expect(try Sockets.readExactly(pair.client, 1) == [1])
            var server = pair.server
            for source in [Lab.Role.a, .b] {
                server = try #require(
                    try await Mover.shared().move([server], from: source).arrived.values.first, "\(source)")
                // Until the peer has answered the RTO is that of nothing known, 3 s. It answers such a probe twice a
                // second at most, so the second move can be too early for it.
                let moved = server
                if source == .a, shape.settings["tcp_timestamps"] != 0 {
                    try Sockets.wait("the round trip") {
                        Sockets.information(moved).map { $0.tcpi_rtt > 0 && $0.tcpi_unacked == 0 } ?? false
                    }
                    #expect(try #require(Sockets.information(server)).tcpi_rto < 3_000_000)
                }
                // The byte that asked for it is no part of the stream.
                try Sockets.writeAll(server, [2])
                #expect(try Sockets.readExactly(pair.client, 1) == [2])
                try Sockets.writeAll(pair.client, [3])
                #expect(try Sockets.readExactly(server, 1) == [3])
            }
            close(server)
            try Sockets.readToEnd(pair.client) { _ in Issue.record("more bytes than were sent") }
        }

        @Test("moves with two hundred others in one batch, there and back")
        func batch() async throws {
            let mover = try await Mover.shared()
            let before = try await Lab.shared.run(in: .client) { try TCPCounters.read() }
            var clients: [Flow: Int32] = [:]
            var servers: [Int32] = []
            for index in 0..<201 {
                let pair = try await Pair(index % 2 == 0 ? .plain4 : .plain6)
                try Sockets.writeAll(pair.client, Bulk.bytes(index * 10, seed: UInt64(index + 1)))
                clients[try await Lab.shared.run(in: .a) { try MovableSocket(examining: pair.server).flow }] =
                    pair.client
                servers.append(pair.server)
            }
            let order = clients
            for source in [Lab.Role.a, .b] {
                let result = try await mover.move(servers, from: source)
                #expect(result.outcomes.allSatisfy { $0 == .moved })
                #expect(Set(result.arrived.keys) == Set(order.keys))
                servers = Array(result.arrived.values)
                for (flow, server) in result.arrived {
                    try Sockets.writeAll(try #require(order[flow]), [source == .a ? 1 : 2])
                    try Sockets.writeAll(server, [3])
                    #expect(try Sockets.readExactly(try #require(order[flow]), 1) == [3])
                }
            }
            for server in servers {
                // What was sent before the moves, and a byte at each host: nothing is lost, nothing comes twice.
                let client = try await Lab.shared.run(in: .a) { try MovableSocket(examining: server).flow }
                shutdown(try #require(order[client]), Int32(SHUT_WR))
                var received: [UInt8] = []
                try Sockets.readToEnd(server) { received += $0 }
                #expect(received.suffix(2) == [1, 2])
                let seed = UInt64((received.count - 2) / 10 + 1)
                #expect(Array(received.dropLast(2)) == Bulk.bytes(received.count - 2, seed: seed))
                close(server)
            }
            for client in order.values { close(client) }
            let counted = try await Lab.shared.run(in: .client) { try TCPCounters.read() } - before
            #expect(counted.resets == 0)
        }
    }
}
