import Glibc
import SampleArena
import SessionEngine
import TLSRecords
import Testing

@Suite("A leg on a Unix socket")
struct UnixLegTests {
    /// An engine with one plain session, and the other ends of its sockets.
    private final class Relay {
        let peer: CInt
        let client: CInt
        let upstream: CInt
        private(set) var backend: CInt
        private let memory: CInt
        var engine: Engine?
        private var owners: UInt64 = 1

        init(client isUnix: Bool) throws {
            (peer, client) = isUnix ? try UnixPair.make() : try TCPPair.make()
            (upstream, backend) = try UnixPair.make()
            memory = try Arena.make(slotCount: 1, extentCount: 16)
            engine = try Engine(taking: Arena(mapping: memory), as: 1)
            _ = try engine!.begin(
                SessionAtRest(
                    number: 1, client: SessionLeg(descriptor: dup(client)),
                    upstream: SessionLeg(descriptor: dup(upstream)))
            )
        }

        deinit {
            for descriptor in [peer, client, upstream, backend, memory] where descriptor >= 0 { close(descriptor) }
        }

        func succeed() throws {
            engine = nil
            owners += 1
            let (client, upstream) = (client, upstream)
            engine = try Engine(taking: Arena(mapping: memory), as: owners) { _ in (dup(client), dup(upstream)) }
        }

        func closeBackend() {
            close(backend)
            backend = -1
        }

        /// Works until `isDone`. Returns whether it came to that.
        func run(until isDone: () -> Bool) -> Bool {
            let deadline = ContinuousClock.now + .seconds(60)
            while !isDone() {
                guard ContinuousClock.now < deadline else { return false }
                engine!.step(waiting: 1)
            }
            return true
        }

        var isOver: Bool { engine.sessionCount == 0 }

        var outcome: SessionOutcome? {
            for case .ended(_, let outcome) in engine!.takeEvents() { return outcome }
            return nil
        }
    }

    private enum Read: Equatable { case bytes([UInt8]), end, nothing, error(CInt) }

    private static func read(_ descriptor: CInt) -> Read {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        if count < 0 { return errno == EAGAIN ? .nothing : .error(errno) }
        return count == 0 ? .end : .bytes(Array(bytes.prefix(count)))
    }

    private static func write(_ descriptor: CInt, _ bytes: [UInt8]) -> Int {
        send(descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
    }

    private static let answer = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 / 7) }

    @Test(
        "whose peer closes while there is more for it gets all through that it has said before",
        arguments: [false, true], [false, true])
    func closed(isUnix: Bool, succeeds: Bool) throws {
        let relay = try Relay(client: isUnix)
        #expect(UnixLegTests.write(relay.backend, UnixLegTests.answer) == UnixLegTests.answer.count)
        relay.closeBackend()
        #expect(UnixLegTests.write(relay.peer, [1, 2, 3]) == 3)
        if succeeds { try relay.succeed() }
        var received: [UInt8] = []
        var last = Read.nothing
        _ = relay.run {
            last = UnixLegTests.read(relay.peer)
            if case .bytes(let bytes) = last { received += bytes }
            return last == .end || last == .error(ECONNRESET)
        }
        #expect(received == UnixLegTests.answer)
        #expect(last == (isUnix ? .end : .error(ECONNRESET)))
        #expect(relay.run { relay.isOver })
        #expect(relay.outcome == .reset(.upstream))
    }

    @Test("is shut both ways when the other side is reset, although others hold its socket", arguments: [false, true])
    func reset(succeeds: Bool) throws {
        let relay = try Relay(client: false)
        #expect(UnixLegTests.write(relay.peer, [1, 2, 3]) == 3)
        #expect(relay.run { UnixLegTests.read(relay.backend) == .bytes([1, 2, 3]) })
        TCPPair.reset(relay.peer)
        if succeeds { try relay.succeed() }
        #expect(relay.run { relay.isOver })
        #expect(relay.outcome == .reset(.client))
        #expect(UnixLegTests.read(relay.backend) == .end)
        #expect(UnixLegTests.write(relay.backend, [4]) == -1)
        #expect(errno == EPIPE)
    }

    @Test("whose peer closes without having read what it got resets the other side")
    func unread() throws {
        let relay = try Relay(client: false)
        #expect(UnixLegTests.write(relay.peer, [1, 2, 3]) == 3)
        #expect(relay.run { poll(relay.backend) })
        relay.closeBackend()
        #expect(relay.run { UnixLegTests.read(relay.peer) == .error(ECONNRESET) })
        #expect(relay.run { relay.isOver })
        #expect(relay.outcome == .reset(.upstream))
    }

    @Test("ends one way and goes on the other, through owners")
    func halfClosed() throws {
        let relay = try Relay(client: true)
        #expect(UnixLegTests.write(relay.peer, [1]) == 1)
        shutdown(relay.peer, Int32(SHUT_WR))
        #expect(relay.run { UnixLegTests.read(relay.backend) == .bytes([1]) })
        try relay.succeed()
        #expect(relay.run { UnixLegTests.read(relay.backend) == .end })
        for byte in UInt8(2)..<10 {
            try relay.succeed()
            #expect(UnixLegTests.write(relay.backend, [byte]) == 1)
            #expect(relay.run { UnixLegTests.read(relay.peer) == .bytes([byte]) })
        }
        shutdown(relay.backend, Int32(SHUT_WR))
        #expect(relay.run { UnixLegTests.read(relay.peer) == .end })
        #expect(relay.run { relay.isOver })
        #expect(relay.outcome == .inOrder)
    }

    @Test("counts on for as long as its stream, whoever owns it")
    func longStream() throws {
        let relay = try Relay(client: true)
        let block = [UInt8](repeating: 7, count: 60_000)
        let total = 1_200_000_000
        var (sent, received, lowest) = (0, 0, CInt.max)
        _ = relay.run {
            if sent < total { sent += max(0, UnixLegTests.write(relay.peer, block)) }
            if case .bytes(let bytes) = UnixLegTests.read(relay.backend) { received += bytes.count }
            lowest = min(lowest, countdown(relay.client))
            return sent >= total && received == sent
        }
        #expect(received == sent)
        // It is more than 2^30, so that the count has begun anew; not raised it would have come down to 0.
        #expect(lowest > (1 << 30) - 80_000_000)
        try relay.succeed()
        #expect(UnixLegTests.write(relay.peer, [1, 2, 3]) == 3)
        #expect(relay.run { UnixLegTests.read(relay.backend) == .bytes([1, 2, 3]) })
    }

    @Test("leaves with a socket that is as it was")
    func extracted() throws {
        let relay = try Relay(client: true)
        #expect(UnixLegTests.write(relay.peer, [1, 2, 3]) == 3)
        #expect(relay.run { UnixLegTests.read(relay.backend) == .bytes([1, 2, 3]) })
        #expect(countdown(relay.client) > 0)
        let (parcels, left) = relay.engine!.extract([1])
        #expect(left.isEmpty)
        guard let session = parcels.first?.take() else {
            Issue.record("there is no session")
            return
        }
        #expect(countdown(session.client.descriptor) == -1)
        #expect(countdown(session.upstream.descriptor) == -1)
        #expect(UnixLegTests.write(relay.peer, [4]) == 1)
        #expect(UnixLegTests.read(session.client.descriptor) == .bytes([4]))
        close(session.client.descriptor)
        close(session.upstream.descriptor)
    }

    private func poll(_ descriptor: CInt) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&entry, 1, 0) == 1
    }

    private func countdown(_ descriptor: CInt) -> CInt {
        var value: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &value, &length)
        return value
    }
}
