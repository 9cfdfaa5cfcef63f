import Glibc
import HostLab
import HostMigration

/// How long a ping-pong connection pauses for a move, as its client sees it. Each move is one of a fresh connection,
/// by threads that wait beforehand, as a mover and a server do.
enum PauseBench {
    /// Round trips before the move, and after it.
    private static let half = 200

    /// One line of JSON, in microseconds: the bare round trip's median, and the longest round trip around each move.
    static func run(moves: Int) async throws -> String {
        let mover = try await Mover.shared()
        let before = try await Lab.shared.run(in: .client) { try TCPCounters.read() }
        var trips: [Double] = []
        var pauses: [Double] = []
        for _ in 0..<moves {
            let times = try await one(mover)
            trips += times
            pauses.append(times.max() ?? 0)
        }
        let counted = try await Lab.shared.run(in: .client) { try TCPCounters.read() } - before
        trips.sort()
        pauses.sort()
        return """
            {"moves":\(moves),"round_trip_us":\(Int(trips[trips.count / 2])),"pause_us":\
            {"min":\(Int(pauses[0])),"p50":\(Int(pauses[moves / 2])),"p99":\(Int(pauses[min(moves - 1, moves * 99 / 100)])),\
            "max":\(Int(pauses[moves - 1]))},"timeouts":\(counted.timeouts),"resets":\(counted.resets)}
            """
    }

    /// The round trips of one connection that moves from A to B half way, in microseconds.
    private static func one(_ mover: Mover) async throws -> [Double] {
        let pair = try await Pair()
        let (near, far) = try Mover.link()
        let target = Lab.shared.start(in: .b) {
            let arrivals = MigrationTarget(transport: StreamTransport(owning: far), steering: mover.steering(.b))
            try arrivals.receive { descriptor, _, _ in
                try? echo(descriptor, half)
                close(descriptor)
            }
        }
        let source = Lab.shared.start(in: .a) {
            Sockets.set(pair.server, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            let departures = MigrationSource(
                steering: mover.steering(.a), transport: StreamTransport(owning: near), to: Mover.hosts[.b]!)
            try echo(pair.server, half)
            let flow = try MovableSocket(examining: pair.server)
            guard departures.move([flow]) == [.moved] else { throw LabError("move") }
            try mover.steering(.a).settle()
        }
        let times = try await Lab.shared.run(in: .client) {
            let clock = ContinuousClock()
            let ping = [UInt8](repeating: 0x55, count: 64)
            var times: [Double] = []
            for _ in 0..<2 * half {
                let time = try clock.measure {
                    try Sockets.writeAll(pair.client, ping)
                    _ = try Sockets.readExactly(pair.client, 64)
                }
                times.append(time / .microseconds(1))
            }
            close(pair.client)
            return times
        }
        try await source.value
        try await target.value
        try mover.steering(.a).forget(Array(mover.steering(.a).moved.keys))
        return times
    }

    private static func echo(_ descriptor: Int32, _ rounds: Int) throws {
        for _ in 0..<rounds { try Sockets.writeAll(descriptor, try Sockets.readExactly(descriptor, 64)) }
    }
}
