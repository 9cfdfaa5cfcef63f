import Foundation

/// How long `baton upgrade` takes, and how long connections stand still.
struct UpgradeBenchmarks {
    static func all() -> [Benchmark] {
        [1_000, 4_000].map { count in Benchmark("upgrade of \(count) connections") { try upgrade(count) } }
    }

    private struct Upgraded: Decodable {
        var duration_ms: Double
        var failed: Int
        var to: Int32
    }

    private struct Status: Decodable {
        struct Pause: Decodable {
            var p50, p99, max: Double
        }

        var pid: Int32
        var pause_us: Pause
    }

    /// Idle connections to the echo; every one must work after the last upgrade.
    private static func upgrade(_ count: Int) throws -> [Row] {
        let files = try ProxyFiles()
        let server = try Proxy(.baton, upstream: nil, in: files)
        let clients = try IdleClients(port: server.port, count: count)
        var durations: [Double] = []
        var front: pid_t = 0
        // The new servers are no children of the first.
        defer { if front > 0 { for id in Program.family(of: front) { kill(id, SIGKILL) } } }
        for _ in 0..<5 {
            let report: Upgraded = try answer(["upgrade", "--control", server.control])
            front = report.to
            guard report.failed == 0 else { throw BenchmarkError("\(report.failed) moves failed") }
            durations.append(report.duration_ms)
        }
        try clients.check()
        let pause = try (answer(["status", "--control", server.control]) as Status).pause_us
        return [
            Row("upgrade of \(count) connections", unit: "ms", Spread(durations)),
            Row("pause in it: median, p99, longest", unit: "µs", Spread([pause.p50, pause.p99, pause.max])),
        ]
    }

    private static func answer<Answer: Decodable>(_ arguments: [String]) throws -> Answer {
        let text = try Program([ProxyFiles.baton] + arguments + ["--json"], core: 0, isHeard: true).text()
        do {
            return try JSONDecoder().decode(Answer.self, from: Data(text.utf8))
        } catch {
            throw BenchmarkError("baton \(arguments[0]) failed: \(text)")
        }
    }
}
