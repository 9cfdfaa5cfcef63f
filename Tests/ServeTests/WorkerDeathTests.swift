import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// A worker that ends, however, is replaced, and what it relayed goes on: no byte is lost or comes twice, and no peer sees a
/// reset.
@Suite("A worker's death", .serialized, .timeLimit(.minutes(60)))
struct WorkerDeathTests {
    /// `make soak` has ten times as many.
    private static let deaths = soakDeaths ?? 1_000
    static let soakDeaths = ProcessInfo.processInfo.environment["BATON_SOAK_DEATHS"].flatMap { Int($0) }

    @Test(
        "relays and echoes go on, both ways and whole, through workers that are killed again and again, and upgrades between",
        arguments: [
            (BusyCrowd.Upstream.plain, [String](), deaths * 3 / 10), (.tls, [], deaths * 2 / 10),
            (.unix, [], deaths / 10), (.plain, ["--move-every", "50"], deaths / 10),
            (.echo, [], deaths / 10),
        ])
    func killed(kind: BusyCrowd.Upstream, flags: [String], count: Int) throws {
        let files = try TemporaryFiles()
        let crowd = try BusyCrowd(kind, count: 200, rate: 4, files: files)
        let server = try crowd.serve(flags, in: files)
        for death in 1...count {
            try server.killWorker()
            if death.isMultiple(of: 50) {
                try crowd.pass()
                try server.upgrade()
            }
        }
        try crowd.pass()
        #expect(try server.waitUntil { $0.connections == 200 }.workers.count == 2)
        try crowd.end()
        print("\(count) deaths, upstream \(kind) \(flags): \(crowd.lastLine)")
    }

    @Test(
        "so do relays to plain upstreams, upstreams with TLS and on Unix sockets, and echoes, all in the same workers",
        arguments: [[], ["--move-every", "50"]])
    func mixed(flags: [String]) throws {
        let files = try TemporaryFiles()
        let crowds = try BusyCrowd.Upstream.allCases.map { try BusyCrowd($0, count: 40, rate: 4, files: files) }
        let server = try BusyCrowd.serve(crowds, flags, in: files)
        for death in 1...Self.deaths / 10 {
            try server.killWorker()
            if death.isMultiple(of: 50) {
                for crowd in crowds { try crowd.pass() }
                try server.upgrade()
            }
        }
        for crowd in crowds { try crowd.pass() }
        #expect(try server.waitUntil { $0.connections == crowds.count * 40 }.workers.count == 2)
        for crowd in crowds { try crowd.end() }
        print("\(Self.deaths / 10) deaths, all mixed \(flags): \(crowds.map(\.lastLine))")
    }

    /// `make soak` has a thousand connections and a minute.
    @Test("hundreds of busy connections live through a worker that is killed every second")
    func everySecond() throws {
        let isSoak = Self.soakDeaths != nil
        let (connections, count) = isSoak ? (1_000, 60) : (300, 10)
        let files = try TemporaryFiles()
        let crowd = try BusyCrowd(.tls, count: connections, rate: 1, files: files)
        let server = try crowd.serve(in: files)
        let start = ContinuousClock.now
        for _ in 1...count {
            try server.killWorker()
            try crowd.tick()
        }
        let duration = ContinuousClock.now - start
        try crowd.pass()
        let status = try server.waitUntil { $0.connections == connections }
        #expect(status.deaths?.workers == count && status.workers.count == 2)
        try crowd.end()
        print("\(connections) connections, \(count) deaths in \(duration): \(crowd.bytes) bytes, \(crowd.lastLine)")
    }
}

extension Server {
    /// Kills one of the workers with SIGKILL, and waits until another is in its place.
    func killWorker() throws {
        let before = try waitUntil { $0.workers.count == 2 && $0.workers.allSatisfy { $0.state == "ready" } }
        guard let worker = before.workers.randomElement() else { return }
        kill(worker.pid, SIGKILL)
        _ = try waitUntil { report in !report.workers.contains { $0.pid == worker.pid } }
    }
}
