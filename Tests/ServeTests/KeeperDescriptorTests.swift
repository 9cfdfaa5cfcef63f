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

    /// What a worker has room for when it is to go on with another's relays.
    enum Room: Int, CaseIterable, Sendable {
        /// One message's descriptors beside the reserve, and not two messages'.
        case oneMessage = 270
        /// Less than a message's.
        case some = 100
        /// Not even the memory's.
        case none = 0
    }

    @Test(
        "relays for whose sockets a worker lacks descriptors are reset and told as lost, and the keeper has none of them any more",
        arguments: Room.allCases)
    func heirLacks(room: Room) throws {
        let crowd = try RelayCrowd(count: 300)
        let server = try Server(crowd.flags + ["--limits.worker-silence", "off"])
        try crowd.connect(port: server.port)
        let report = try server.waitUntil { $0.connections == 300 }
        let (dying, heir) = (report.workers[0], report.workers[1])
        let lost = room == .oneMessage ? dying.connections - 120 : dying.connections
        #expect((121..<240).contains(dying.connections), "\(report.table)")
        try Self.limit(heir.pid, leaving: room.rawValue, reserve: room == .oneMessage ? 128 : 0)
        // As long as the front stands still nobody starts another worker.
        kill(report.front, SIGSTOP)
        kill(dying.pid, SIGKILL)
        try crowd.expectLost(lost)
        #expect(try crowd.resets() == lost)
        #expect(try crowd.check() == 300 - lost)
        try ProcessFacts.wait { try ProcessFacts.descriptorCount(of: server.processID) < 2 * (300 - lost) + 100 }
        kill(report.front, SIGCONT)
        try server.log(" lost=\(lost) ")
        #expect(server.logged.contains(room == .none ? "Too many open files" : "noSockets"), "\(server.logged)")
        let after = try server.waitUntil { $0.connections == 300 - lost && $0.workers.count == 2 }
        #expect(after.front == report.front && after.workers.contains { $0.pid == heir.pid })
        #expect(try crowd.check() == 300 - lost)
    }

    /// Lowers a process's limit of descriptors so that it has so many left, and a reserve above them.
    private static func limit(_ process: Int32, leaving spare: Int, reserve: Int) throws {
        let open = Set(
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").compactMap { Int($0) })
        var (limit, left) = (0, spare)
        while left > 0 || open.contains(limit) {
            if !open.contains(limit) { left -= 1 }
            limit += 1
        }
        let setting = try PeerProcess([
            "prlimit", "--pid", "\(process)", "--nofile=\(limit + reserve):\(limit + reserve)",
        ])
        try setting.expect(nil)
        #expect(setting.status == 0, "\(setting.text)")
    }
}
