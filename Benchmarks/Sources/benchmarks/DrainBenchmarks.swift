import Foundation
import Glibc

/// How long connections stand still when a host is drained to another one, there and back in turn, as a client of a third
/// namespace sees it; and how many move in a second.
struct DrainBenchmarks {
    /// Of each figure. An odd number, so that the address is elsewhere in the end.
    private static let drains = 51

    static func all() -> [Benchmark] {
        let obstacle = DrainLab.obstacle
        return [
            Benchmark("pause between hosts, TLS 1.3", unless: obstacle) { name in
                try pause(name, .tls, others: 0)
            },
            Benchmark("pause between hosts, plain TCP", unless: obstacle) { name in
                try pause(name, .plain, others: 0)
            },
            Benchmark("pause between hosts, TLS 1.3, one of 101", unless: obstacle) { name in
                try pause(name, .tls, others: 100)
            },
            Benchmark("drain of 1,000 connections", unless: obstacle) { name in try rate(name, 1_000) },
            Benchmark("pause of a TCP socket between kernels", unless: obstacle) { name in try socketAlone(name) },
        ]
    }

    /// One connection that exchanges small messages, among others that do it a few times in a second.
    private static func pause(_ name: String, _ kind: LabClient.Kind, others: Int) throws -> [Row] {
        let lab = try DrainLab()
        let client = try LabClient(in: lab, kind, others: others, isPinging: true)
        var pauses: [Double] = []
        var told: [Double] = []
        var quiet: [RoundTrips] = []
        // The first drain there and back sets up what stays: processes, rules, neighbours.
        for round in -2..<drains {
            let stopwatch = Stopwatch()
            let report = try lab.drain(there: round.isMultiple(of: 2), expecting: others + 1)
            let during = try client.roundTrips()
            // As long once more, without a drain.
            usleep(UInt32(clamping: Int(stopwatch.elapsed / 1_000)))
            let outside = try client.roundTrips()
            guard round >= 0 else { continue }
            pauses.append(during.longest)
            told.append(report.pause_us.max)
            quiet.append(outside)
        }
        return [
            Row(name, unit: "µs", Spread(pauses), aim: .atMost(500)),
            Row("its p99", unit: "µs", Spread([pauses.percentile(99)]), aim: .atMost(2_000)),
            Row("its longest as the report tells", unit: "µs", Spread(told)),
            Row("bare round trip", unit: "µs", Spread(quiet.map(\.median))),
            Row("longest of as long without a drain", unit: "µs", Spread(quiet.map(\.longest))),
        ]
    }

    /// Connections on which nothing is said.
    private static func rate(_ name: String, _ count: Int) throws -> [Row] {
        let lab = try DrainLab()
        let client = try LabClient(in: lab, .tls, others: count, isPinging: false)
        var rates: [Double] = []
        var medians: [Double] = []
        var longest: [Double] = []
        for round in 0..<6 {
            let report = try lab.drain(there: round.isMultiple(of: 2), expecting: count)
            rates.append(Double(report.moved) / report.duration_ms * 1_000)
            medians.append(report.pause_us.p50)
            longest.append(report.pause_us.max)
        }
        try client.check()
        return [
            Row(name, unit: "1/s", isRate: true, Spread(rates)),
            Row("median pause in it, as the report tells", unit: "µs", Spread(medians)),
            Row("longest pause in it", unit: "µs", Spread(longest)),
        ]
    }

    /// Without TLS, without processes that take and give: what `HostMover` measures.
    private static func socketAlone(_ name: String) throws -> [Row] {
        struct Measured: Decodable {
            struct Pause: Decodable {
                var min, p50, p99, max: Double
            }

            var round_trip_us: Double
            var pause_us: Pause
        }
        let path = ProcessInfo.processInfo.environment["HOST_MOVER"] ?? "../.build/release/HostMover"
        let text = try Program(DrainLab.undisturbed + [path, "bench", "200"], isHeard: true).text()
        guard let measured = try? JSONDecoder().decode(Measured.self, from: Data(text.utf8)) else {
            throw BenchmarkError("\(path) bench failed; is it built?")
        }
        let pause = measured.pause_us
        return [
            Row(name, unit: "µs", Spread([pause.min, pause.p50, pause.max]), aim: .atMost(500)),
            Row("its p99", unit: "µs", Spread([pause.p99]), aim: .atMost(2_000)),
            Row("bare round trip", unit: "µs", Spread([measured.round_trip_us])),
        ]
    }
}
