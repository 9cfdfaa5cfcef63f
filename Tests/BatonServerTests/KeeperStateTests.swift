import Foundation
import Testing

@testable import BatonServer

@Suite("What a keeper leaves to the next program")
struct KeeperStateTests {
    /// Descriptors that no process has.
    private static func state(relays: Int, workers: Int) -> KeeperState {
        var next: CInt = 1_000_000
        func descriptor() -> CInt {
            next += 1
            return next
        }
        let line = ServerLine(
            3, Program(file: -1, name: "baton", arguments: ["--listen", "127.0.0.1:0"]), readsStates: [1, 2],
            kept: [descriptor(), descriptor()], gathered: [descriptor()], state: descriptor())
        let children = (0..<workers).map { worker in
            let sockets = (0..<relays / workers).map { slot in
                Estate.Sockets(
                    slot: UInt32(slot), generation: UInt64.max - UInt64(slot), client: descriptor(),
                    upstream: descriptor())
            }
            return KeeperState.Child(
                process: UInt32(worker + 2), pid: Int32(worker + 100),
                role: .worker(number: worker, directory: "/run/baton/c.sock.d"), line: 3, isOwned: worker > 0,
                link: descriptor(),
                estates: [.init(number: UInt32(worker), arena: descriptor(), end: .fault, sockets: sockets)],
                isCondemned: worker == 0)
        }
        return KeeperState(
            lines: [KeeperState.Line(line)], service: 3, lastLine: 3, lastProcess: UInt32(workers + 1),
            front: .init(process: 1, pid: 99, link: descriptor()), children: children,
            deaths: ProcessDeaths(front: 7, workers: 11), stops: [SIGTERM])
    }

    @Test("twenty thousand descriptors go through a file in memory that the next program reads whole")
    func many() throws {
        let state = Self.state(relays: 10_000, workers: 4)
        #expect(state.descriptors.count > 20_000)
        #expect(Set(state.descriptors).count == state.descriptors.count)
        let file = try #require(try JSONEncoder().encode(state).withUnsafeBytes { MemoryFile.make("state", $0) })
        defer { close(file) }
        let bytes = try #require(MemoryFile.read(file))
        // A hundredth of what is read.
        #expect(bytes.count < 256 << 20 / 100)
        let read = try JSONDecoder().decode(KeeperState.self, from: Data(bytes))
        #expect(read.descriptors == state.descriptors)
        #expect(read.deaths == state.deaths && read.stops == state.stops && read.lastProcess == state.lastProcess)
        for (child, former) in zip(read.children, state.children) {
            #expect(child.role == former.role && child.link == former.link && child.isOwned == former.isOwned)
            #expect(child.isCondemned == former.isCondemned && child.estates[0].end == .fault)
            let pairs = zip(child.estates[0].sockets, former.estates[0].sockets)
            #expect(pairs.allSatisfy { $0.slot == $1.slot && $0.generation == $1.generation && $0.client == $1.client })
        }
    }

    @Test("a file of more than 256 MiB is not read, and neither is one that is no file of memory")
    func tooLong() throws {
        let file = try #require([UInt8](repeating: 0, count: 16).withUnsafeBytes { MemoryFile.make("state", $0) })
        defer { close(file) }
        #expect(MemoryFile.read(file)?.count == 16)
        #expect(ftruncate(file, 256 << 20 + 1) == 0)
        #expect(MemoryFile.read(file) == nil)
        #expect(MemoryFile.read(-1) == nil)
        var ends: [CInt] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        #expect(MemoryFile.read(ends[0]) == nil)
    }
}
