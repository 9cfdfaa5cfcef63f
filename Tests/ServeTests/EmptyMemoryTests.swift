import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite("Memory that has come from other workers", .serialized, .timeLimit(.minutes(5)))
struct EmptyMemoryTests {
    @Test("goes back when its last relay has ended, at the worker and at the keeper")
    func comesBack() throws {
        let files = try TemporaryFiles()
        var crowd: BusyCrowd? = try BusyCrowd(count: 60, rate: 10, files: files)
        let path = try #require(crowd).configuration(in: files)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        func write(workers: Int) throws {
            try "workers: \(workers)\n\(text)\n".write(toFile: path, atomically: true, encoding: .utf8)
        }
        try write(workers: 3)
        let server = try Server(["--config", path, "--limits.handshake-time", "5m"], workers: nil)
        try crowd?.connect(port: server.port)
        let before = try server.waitUntil { $0.workers.count == 3 && $0.connections == 60 }
        #expect(before.workers.map { arenas(of: $0.pid) } == [1, 1, 1])
        // One worker gets what three have had.
        try write(workers: 1)
        try server.upgrade()
        try crowd?.pass()
        let after = try server.waitUntil { $0.workers.count == 1 && $0.connections == 60 }
        #expect(arenas(of: after.workers[0].pid) == 3)
        #expect(kept(by: server.processID) == 3)
        try crowd?.end()
        // Its process goes, and its sockets with it.
        crowd = nil
        _ = try server.waitUntil {
            $0.connections == 0 && arenas(of: $0.workers[0].pid) == 1 && kept(by: server.processID) == 1
        }
    }

    /// How many arenas a process has mapped.
    private func arenas(of process: Int32) -> Int {
        let maps = (try? String(contentsOfFile: "/proc/\(process)/maps", encoding: .utf8)) ?? ""
        // The header may be a mapping of its own, because it is locked.
        return Set(
            maps.split(separator: "\n").filter { $0.contains("baton-arena") }.compactMap { line in
                line.split(separator: " ", omittingEmptySubsequences: true).dropFirst(4).first
            }
        ).count
    }

    /// How many arenas a process has descriptors of.
    private func kept(by process: Int32) -> Int {
        let folder = "/proc/\(process)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.count { name in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)"))?.contains("baton-arena")
                == true
        }
    }
}
