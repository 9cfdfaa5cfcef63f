import Foundation
import Glibc

/// How long `baton upgrade` takes, and how long connections stand still in it and when a worker is killed. All but one of the
/// connections say nothing; that one exchanges messages, and its longest round trip tells.
struct UpgradeBenchmarks {
    /// By connections, the longest pause in milliseconds that an upgrade should make.
    private static let aims: KeyValuePairs = [1_000: 5.0, 4_000: 10, 10_000: 20]

    static func all() -> [Benchmark] {
        aims.map { count, aim in
            // The main process has two descriptors for each, and some for the rest: where the limit is in the way, it is as many as may be.
            let count = min(count, max(1, (Proxy.maxDescriptors - 1_000) / 2))
            return Benchmark("upgrade of \(count) connections") { _ in try upgrade(count, aim) }
        } + [Benchmark("worker killed with 1000 connections") { try kill() }]
    }

    private struct Upgraded: Decodable {
        var duration_ms: Double
        var failed: Int
        var to: Int32
    }

    private struct Status: Decodable {
        struct Worker: Decodable {
            var pid: Int32
            var state: String
        }

        var connections: Int
        var workers: [Worker]
    }

    /// A server with proxied connections.
    private final class Scene {
        private let files: ProxyFiles
        private let upstream: EchoUpstream
        private let server: Proxy
        private let clients: IdleClients
        let pinging: PingingClient
        private let count: Int

        init(_ count: Int) throws {
            self.count = count
            files = try ProxyFiles()
            upstream = try EchoUpstream()
            server = try Proxy(.baton, upstream: upstream.port, isPinned: false, in: files)
            clients = try IdleClients(port: server.port, count: count - 1)
            pinging = try PingingClient(port: server.port)
            while try status().connections < count { usleep(10_000) }
            _ = try pinging.longest()
        }

        deinit { pinging.stop() }

        func status() throws -> Status { try answer(["status", "--control", server.control]) }

        func upgrade() throws -> Upgraded { try answer(["upgrade", "--control", server.control]) }

        /// Whether every connection works.
        func check() throws { try clients.check() }
    }

    private static func upgrade(_ count: Int, _ aim: Double) throws -> [Row] {
        let scene = try Scene(count)
        var durations: [Double] = []
        var pauses: [Double] = []
        var others: [Double] = []
        for _ in 0..<5 {
            let report = try scene.upgrade()
            guard report.failed == 0 else { throw BenchmarkError("\(report.failed) moves failed") }
            durations.append(report.duration_ms)
            pauses.append(try scene.pinging.longest())
            usleep(useconds_t(report.duration_ms * 1_000))
            others.append(try scene.pinging.longest())
        }
        try scene.check()
        return [
            Row("upgrade of \(count) connections", unit: "ms", Spread(durations)),
            Row("longest pause in it", unit: "ms", Spread(pauses), aim: .atMost(aim)),
            Row("longest as long afterwards", unit: "ms", Spread(others)),
        ]
    }

    private static func kill() throws -> [Row] {
        let scene = try Scene(1_000)
        var pauses: [Double] = []
        for _ in 0..<10 {
            let worker = try scene.status().workers[0].pid
            Glibc.kill(worker, SIGKILL)
            while try scene.status().workers.allSatisfy({ $0.pid == worker || $0.state != "ready" }) { usleep(1_000) }
            pauses.append(try scene.pinging.longest())
        }
        try scene.check()
        return [
            Row("worker killed with 1000 connections: longest pause", unit: "ms", Spread(pauses), aim: .atMost(100))
        ]
    }

    private static func answer<Answer: Decodable>(_ arguments: [String]) throws -> Answer {
        let text = try Program([ProxyFiles.baton] + arguments + ["--json"], isHeard: true).text()
        do {
            return try JSONDecoder().decode(Answer.self, from: Data(text.utf8))
        } catch {
            throw BenchmarkError("baton \(arguments[0]) failed: \(text)")
        }
    }
}
