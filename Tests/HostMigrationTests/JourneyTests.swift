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
    }
}
