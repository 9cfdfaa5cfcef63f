import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// The keeper has two descriptors of every relay.
@Suite("The keeper's descriptors", .serialized, .timeLimit(.minutes(10)))
struct KeeperDescriptorTests {
    /// As many as the limit of descriptors allows: whoever connects has two of each, and so has the keeper.
    private static let many: Int = {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return min(4_000, (Int(clamping: limit.rlim_max) - 1_000) / 2)
    }()

    @Test(
        "a keeper with the sockets of thousands of relays executes another program and has them all: a worker's death ends none"
    )
    func execute() throws {
        let files = try TemporaryFiles()
        let copy = files.path("baton")
        try FileManager.default.copyItem(atPath: try BuiltProgram.path("baton"), toPath: copy)
        let crowd = try RelayCrowd(count: Self.many)
        let server = try Server(crowd.flags)
        try crowd.connect(port: server.port)
        try ProcessFacts.wait { try ProcessFacts.descriptorCount(of: server.processID) > 2 * Self.many }
        try server.upgrade(binary: copy)
        try ProcessFacts.wait {
            try ProcessFacts.program(of: server.processID) == URL(filePath: copy).resolvingSymlinksInPath().path
        }
        #expect(try crowd.check() == Self.many)
        try ProcessFacts.wait { try ProcessFacts.descriptorCount(of: server.processID) > 2 * Self.many }
        for _ in 0..<2 {
            try server.killWorker()
            #expect(try crowd.check() == Self.many)
        }
        let after = try server.waitUntil { $0.connections == Self.many }
        #expect(after.pid == server.processID && after.deaths == .init(front: 0, workers: 2))
        #expect(!server.logged.contains("descriptors are lacking"), "\(server.logged.suffix(2_000))")
        try crowd.end()
        // What it had goes with the relays.
        try ProcessFacts.wait { try ProcessFacts.descriptorCount(of: server.processID) < 200 }
    }

    @Test("a keeper that lacks descriptors says so in one line, and can start another front; no stream is hurt by it")
    func lacking() throws {
        let crowd = try RelayCrowd(count: 200)
        let server = try Server(
            crowd.flags, program: ["prlimit", "--nofile=400:400", try BuiltProgram.path("baton")])
        try crowd.connect(port: server.port)
        let before = try server.waitUntil { $0.connections == 200 }
        try server.log("descriptors are lacking: relays that cannot be kept end with their worker")
        for round in 1...2 {
            let front = try server.frontID()
            kill(front, SIGKILL)
            let after = try server.await { $0.front != front && $0.connections == 200 }
            #expect(after.pid == before.pid && after.workers.map(\.pid) == before.workers.map(\.pid))
            #expect(after.deaths == .init(front: round, workers: 0))
            #expect(try crowd.check() == 200)
        }
        #expect(server.logged.components(separatedBy: "descriptors are lacking").count == 2, "\(server.logged)")
        // Those that could be kept outlive their worker, and the others end with it.
        try server.killWorker()
        let live = try crowd.check()
        #expect((100..<200).contains(live), "\(live)")
        _ = try server.waitUntil { $0.connections == live }
    }
}
