import Glibc
import HostLab
import HostMigration
import Testing

extension LabTests {
    @Suite("What accompanies a connection")
    struct CompanionTests {
        @Test("arrives with its own connection, of several in a batch, and where none does, nothing")
        func arrives() async throws {
            let pairs = [try await Pair(), try await Pair(.plain6), try await Pair()]
            let sent: [[UInt8]] = [Bulk.bytes(100_000, seed: 5), [], [7]]
            let result = try await move(pairs, sent) { _, _ in nil }
            #expect(result.outcomes == [.moved, .moved, .moved])
            for (index, pair) in pairs.enumerated() {
                let arrived = try #require(result.arrived[result.flows[index]])
                #expect(arrived.companion == sent[index])
                try Sockets.writeAll(pair.client, [1])
                #expect(try Sockets.readExactly(arrived.descriptor, 1) == [1])
                close(arrived.descriptor)
                close(pair.client)
            }
        }

        @Test("can have its connection declined before anything is done for it; the others move")
        func declined() async throws {
            let pairs = [try await Pair(), try await Pair()]
            let result = try await move(pairs, [[1, 2], [3, 4]]) { _, companion in
                companion.withUnsafeBytes { $0.elementsEqual([1, 2]) } ? .unreadableCompanion : nil
            }
            #expect(result.outcomes == [.stayed(MigrationError(.unreadableCompanion)), .moved])
            #expect(result.arrived.count == 1)
            // It goes on where it was.
            try Sockets.writeAll(pairs[0].client, [8])
            #expect(try Sockets.readExactly(pairs[0].server, 1) == [8])
            let arrived = try #require(result.arrived[result.flows[1]])
            try Sockets.writeAll(pairs[1].client, [9])
            #expect(try Sockets.readExactly(arrived.descriptor, 1) == [9])
            for descriptor in [pairs[0].client, pairs[0].server, pairs[1].client, arrived.descriptor] {
                close(descriptor)
            }
        }

        private struct Result: Sendable {
            var flows: [Flow] = []
            var outcomes: [SocketMigration.Outcome] = []
            var arrived: [Flow: (descriptor: Int32, companion: [UInt8])] = [:]
        }

        /// Moves the servers of the pairs to host B, each with its companion.
        private func move(
            _ pairs: [Pair], _ companions: [[UInt8]],
            refusal: @escaping @Sendable (Flow, RawSpan) -> MigrationError.Code?
        ) async throws -> Result {
            let mover = try await Mover.shared()
            let (near, far) = try Mover.link()
            let receiving = Lab.shared.start(in: .b) {
                var arrived: [Flow: (descriptor: Int32, companion: [UInt8])] = [:]
                let target = MigrationTarget(
                    transport: StreamTransport(owning: far), steering: mover.steering(.b), refusal: refusal)
                try target.receive { descriptor, flow, companion in
                    arrived[flow] = (descriptor, companion.withUnsafeBytes { Array($0) })
                }
                try mover.steering(.b).settle()
                return arrived
            }
            var result = try await Lab.shared.run(in: .a) {
                let sockets = try pairs.map { try MovableSocket(examining: $0.server) }
                let source = MigrationSource(
                    steering: mover.steering(.a), transport: StreamTransport(owning: near), to: Mover.hosts[.b]!)
                var result = Result()
                result.flows = sockets.map(\.flow)
                result.outcomes = source.move(sockets) { member in
                    let companion = companions[member]
                    return companion.isEmpty ? nil : SecretBytes(copying: companion.span.bytes)
                }
                try mover.steering(.a).settle()
                return result
            }
            result.arrived = try await receiving.value
            return result
        }
    }
}
