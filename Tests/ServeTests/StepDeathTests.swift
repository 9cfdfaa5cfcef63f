import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

#if DEBUG
    /// A worker's steps are the stores by which its engine publishes, and the system calls that move bytes.
    @Suite("Death at every step", .serialized, .timeLimit(.minutes(10)))
    struct StepDeathTests {
        /// How many steps are walked over, one after the other.
        private static let steps = 150

        @Test(
            "a busy relay goes on whole through workers each of which dies a step later than the one before",
            arguments: [BusyCrowd.Upstream.plain, .tls12])
        func walk(kind: BusyCrowd.Upstream) throws {
            let files = try TemporaryFiles()
            let file = files.path("steps")
            let crowd = try BusyCrowd(kind, count: 1, rate: 100, files: files)
            let server = try crowd.serve(workers: 1, program: [try files.baton(failing: "steps:\(file)")], in: files)
            try Data("0".utf8).write(to: URL(filePath: file))
            kill(try #require(try server.status().workers.first).pid, SIGKILL)
            _ = try server.waitUntil { ($0.deaths?.workers ?? 0) > Self.steps }
            try FileManager.default.removeItem(atPath: file)
            try crowd.pass()
            let status = try server.waitUntil { $0.connections == 1 && $0.workers.first?.state == "ready" }
            #expect(status.deaths?.front == 0)
            try crowd.end()
            print("\(status.deaths?.workers ?? 0) deaths: \(crowd.bytes) bytes, \(crowd.lastLine)")
        }
    }
#endif
