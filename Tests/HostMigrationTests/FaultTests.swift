import Glibc
import HostLab
import Testing

@testable import HostMigration

extension LabTests {
    @Suite("A migration that fails")
    struct FaultTests {
        @Test("leaves the connection at its host when the link is cut before the answer")
        func linkCut() async throws {
            let (near, far) = try Mover.link()
            close(far)
            try await staysAtA(.linkEnded, StreamTransport(owning: near))
        }

        @Test("leaves the connection at its host when the other is silent")
        func silence() async throws {
            let (near, far) = try Mover.link()
            defer { close(far) }
            try await staysAtA(.timedOut, StreamTransport(owning: near))
        }

        @Test("leaves the connection at its host when the other answers nonsense")
        func nonsense() async throws {
            let (near, far) = try Mover.link()
            defer { close(far) }
            try Sockets.writeAll(far, [0, 0, 0, 3, 77, 1, 2])
            try await staysAtA(.protocolViolation, StreamTransport(owning: near))
        }

        @Test("leaves the connection at its host when the other does not carry its address")
        func addressMissing() async throws {
            let (near, far) = try Mover.link()
            let target = Lab.shared.start(in: .backend) {
                try? MigrationTarget(transport: StreamTransport(owning: far)).receive { _, _, _ in
                    Issue.record("a connection arrived")
                }
            }
            try await staysAtA(.addressNotLocal, StreamTransport(owning: near))
            try await target.value
        }

        @Test("leaves the connection at its host when packets reach it after it was frozen")
        func changed() async throws {
            let pair = try await Pair()
            try await Lab.shared.run(in: .a) {
                let socket = try MovableSocket(examining: pair.server)
                let frozen = try socket.freeze()
                let wasUnchanged = socket.isUnchanged(since: frozen)
                #expect(wasUnchanged)
                // Nothing holds this flow, so the byte arrives.
                try Sockets.writeAll(pair.client, [1])
                try Sockets.wait("the byte") { !socket.isUnchanged(since: frozen) }
                socket.thawInPlace()
            }
            #expect(try Sockets.readExactly(pair.server, 1) == [1])
            close(pair.client)
            close(pair.server)
        }

        @Test(
            "leaves the connection at its host when the hold has become old by the commit, also while the sockets are compared",
            arguments: [[0, 16], [0, 14, 16]])
        func staleHold(seconds: [Int]) async throws {
            let (near, far) = try Mover.link()
            let target = Lab.shared.start(in: .b) {
                let transport = StreamTransport(owning: far)
                _ = try transport.receive(within: .seconds(30))
                try transport.send(.answer(declined: [:]))
                let word = try transport.receiveMessage(within: .seconds(30))
                #expect(word == .cancel)
            }
            // It is read when the flows begin to be held, and then whenever something depends on how long they have been.
            let start = ContinuousClock.now
            var readings = seconds.map { start + .seconds($0) }
            try await staysAtA(.timedOut, StreamTransport(owning: near)) {
                readings.count > 1 ? readings.removeFirst() : readings[0]
            }
            try await target.value
        }

        @Test("is in doubt, and closed at its host, when the link is cut after the commit")
        func doubt() async throws {
            let mover = try await Mover.shared()
            let pair = try await Pair()
            let (near, far) = try Mover.link()
            let target = Lab.shared.start(in: .b) {
                // Restores and accepts as the protocol asks, and hangs up on the commit.
                let transport = StreamTransport(owning: far)
                _ = try transport.receive(within: .seconds(30))
                try transport.send(.answer(declined: [:]))
                let commit = try transport.receiveMessage(within: .seconds(30))
                #expect(commit == .commit([0]))
            }
            let outcomes = try await Lab.shared.run(in: .a) {
                defer { try? mover.steering(.a).settle() }
                let source = MigrationSource(
                    steering: mover.steering(.a), transport: StreamTransport(owning: near), to: Mover.hosts[.b]!)
                return source.move([try MovableSocket(examining: pair.server)])
            }
            try await target.value
            #expect(outcomes == [.inDoubt])
            // B has no such connection, and its kernel says so to the client, which has said nothing.
            #expect(throws: LabError.self) { try Sockets.readExactly(pair.client, 1) }
            close(pair.client)
        }

        /// Moves a connection over the transport, in vain, with bytes on their way in both directions.
        private func staysAtA(
            _ code: MigrationError.Code, _ transport: StreamTransport,
            now: @escaping () -> ContinuousClock.Instant = { .now }
        ) async throws {
            let mover = try await Mover.shared()
            let pair = try await Pair()
            try Sockets.writeAll(pair.client, Bulk.bytes(20_000, seed: 1))
            try Sockets.writeAll(pair.server, Bulk.bytes(20_000, seed: 2))
            let (link, now) = (Unshared(transport), Unshared(now))
            let outcomes = try await Lab.shared.run(in: .a) {
                defer { try? mover.steering(.a).settle() }
                let source = MigrationSource(
                    steering: mover.steering(.a), transport: link.value, to: Mover.hosts[.b]!,
                    answerLimit: .milliseconds(200), now: now.value)
                return source.move([try MovableSocket(examining: pair.server)])
            }
            guard case .stayed(let error) = try #require(outcomes.first) else {
                Issue.record("\(outcomes)")
                return
            }
            #expect(error.code == code)
            #expect(Sockets.get(pair.server, SOL_SOCKET, SO_REUSEADDR) == 1)
            try Sockets.writeAll(pair.client, [7])
            #expect(try Sockets.readExactly(pair.server, 20_001) == Bulk.bytes(20_000, seed: 1) + [7])
            try Sockets.writeAll(pair.server, [8])
            #expect(try Sockets.readExactly(pair.client, 20_001) == Bulk.bytes(20_000, seed: 2) + [8])
            close(pair.client)
            close(pair.server)
        }
    }
}

/// Crosses a thread boundary once.
private struct Unshared<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}
