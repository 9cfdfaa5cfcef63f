import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// An upgrade hands over the memory that relays are in, and the new workers go on with it. Whatever fails on the way, no byte is
/// lost or comes twice, and no peer sees a reset.
@Suite("Memory that is handed over", .serialized, .timeLimit(.minutes(10)))
struct HandoverTests {
    private static let count = 60

    private static let words = "goes on with what a worker has handed over"

    /// How many relays have come to workers with their memory, as the log tells.
    private func handedOver(_ server: Server) -> Int {
        server.logged.split(separator: "\n").filter { $0.contains(Self.words) }
            .compactMap { line in
                line.split(separator: " ").first { $0.hasPrefix("connections=") }?.split(separator: "=").last
                    .flatMap { Int($0) }
            }.reduce(0, +)
    }

    @Test("relays change hands with it in every upgrade, both ways and whole", arguments: BusyCrowd.Upstream.allCases)
    func upgrades(kind: BusyCrowd.Upstream) throws {
        let files = try TemporaryFiles()
        let crowd = try BusyCrowd(kind, count: Self.count, rate: 10, files: files)
        let server = try crowd.serve(in: files)
        let upgrades = 5
        let before = try server.waitUntilPlaced(Self.count)
        for _ in 0..<upgrades {
            let report = try server.upgrade()
            #expect(report.connections == Self.count && report.failed == 0)
            try crowd.pass()
        }
        // Each is moved as one connection is.
        let status = try server.waitUntil { $0.moves.handoff == before.moves.handoff + upgrades * Self.count }
        #expect(status.moves.failed == 0 && status.workers.count == 2 && status.connections == Self.count)
        try server.log(Self.words, count: upgrades * status.workers.count)
        #expect(status.deaths?.workers == 0 && handedOver(server) == upgrades * Self.count)
        // Workers that have it are killed as others are.
        try server.killWorker()
        try crowd.pass()
        try crowd.end()
    }

    @Test(
        "a worker of the new server fails, dies or stops answering when it prepares: connections go all the same",
        arguments: ["fail", "crash", "hang"])
    func preparing(fault: String) throws {
        let files = try TemporaryFiles()
        let crowd = try BusyCrowd(count: Self.count, rate: 10, files: files)
        let server = try crowd.serve(["--limits.worker-silence", "2s"], in: files)
        try server.upgrade(binary: try files.baton(failing: "prepare:\(fault)"))
        try crowd.pass()
        #expect(try server.waitUntil { $0.connections == Self.count }.moves.failed == 0)
        try server.upgrade(binary: try BuiltProgram.path("baton"))
        try crowd.pass()
        try crowd.end()
    }

    @Test("a worker dies or stops answering when it is to relinquish it", arguments: ["crash", "hang"])
    func yielding(fault: String) throws {
        let files = try TemporaryFiles()
        let crowd = try BusyCrowd(count: Self.count, rate: 10, files: files)
        let server = try crowd.serve(
            ["--limits.worker-silence", "2s"], program: [try files.baton(failing: "yield:\(fault)")], in: files)
        try server.upgrade(binary: try BuiltProgram.path("baton"))
        try crowd.pass()
        #expect(try server.waitUntil { $0.connections == Self.count }.workers.count == 2)
        try crowd.end()
    }

    @Test("to a program that reads another layout connections go one by one")
    func otherLayout() throws {
        let files = try TemporaryFiles()
        let crowd = try BusyCrowd(count: Self.count, rate: 10, files: files)
        let server = try crowd.serve(in: files)
        let report = try server.upgrade(binary: try files.baton(failing: "arena:fail"))
        #expect(report.connections == Self.count && report.failed == 0)
        try crowd.pass()
        #expect(try server.waitUntil { $0.moves.handoff == Self.count }.moves.failed == 0)
        #expect(handedOver(server) == 0)
        try crowd.end()
    }

    @Test("connections that come in the midst of upgrades, and those that end, are whole")
    func comingAndGoing() throws {
        let files = try TemporaryFiles()
        let crowd = try BusyCrowd(count: Self.count, rate: 10, files: files)
        nonisolated(unsafe) let server = try Server(
            ["--config", try crowd.configuration(in: files), "--limits.handshake-time", "5m", "--move-every", "40"])
        let front = try server.frontID()
        for isEnding in [false, true] {
            let upgrades = Thread { for _ in 0..<4 { _ = try? server.upgrade() } }
            upgrades.start()
            if isEnding { try crowd.end() } else { try crowd.connect(port: server.port) }
            while !upgrades.isFinished { sched_yield() }
        }
        #expect(try server.frontID() != front)
    }
}
