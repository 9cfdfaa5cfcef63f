import Glibc
import HostLab
import Synchronization

/// How long a ping-pong connection pauses for a move, as its client sees it.
enum PauseBench {
    /// One line of JSON, in microseconds: the bare round trip's median, and the longest round trip of each move.
    static func run(moves: Int) async throws -> String {
        let trips = Mutex<[Double]>([])
        let journey = Journey(.plain4, moves: moves, stride: 64 * 100)
        let outcome = try await journey.run { client, isOver in
            let clock = ContinuousClock()
            let ping = [UInt8](repeating: 0x55, count: 64)
            var times: [Double] = []
            while !isOver() {
                let time = try clock.measure {
                    try Sockets.writeAll(client, ping)
                    _ = try Sockets.readExactly(client, 64)
                }
                times.append(time / .microseconds(1))
            }
            shutdown(client, Int32(SHUT_WR))
            trips.withLock { $0 = times }
        }
        let times = trips.withLock { $0 }
        let bare = times.sorted()[times.count / 2]
        // Between two moves lie a hundred round trips at least, so each move has its own longest.
        let pauses = times.sorted().suffix(moves)
        let p50 = pauses[pauses.startIndex + moves / 2]
        let p99 = pauses[pauses.startIndex + min(moves - 1, moves * 99 / 100)]
        return """
            {"moves":\(outcome.moves),"round_trip_us":\(Int(bare)),"pause_us":{"p50":\(Int(p50)),"p99":\(Int(p99)),\
            "max":\(Int(times.max() ?? 0))},"timeouts":\(outcome.counters.timeouts),"resets":\(outcome.counters.resets)}
            """
    }
}
