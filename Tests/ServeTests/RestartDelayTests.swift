import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

#if DEBUG
    @Suite("A worker that dies as soon as it is started", .serialized, .timeLimit(.minutes(5)))
    struct RestartDelayTests {
        @Test("is started again after delays that grow, and what was relayed waits for it and goes on whole")
        func growing() throws {
            let files = try TemporaryFiles()
            let fault = files.path("fault")
            let crowd = try BusyCrowd(.plain, count: 10, rate: 4, files: files)
            let program = try files.baton(failing: "worker:crash:\(fault)")
            let server = try crowd.serve(workers: 1, program: [program], in: files)
            try Data().write(to: URL(filePath: fault))
            kill(try #require(try server.status().workers.first).pid, SIGKILL)
            var heard: [ContinuousClock.Instant] = []
            for death in 1...6 {
                try server.log("a worker has died", count: death)
                heard.append(.now)
            }
            try FileManager.default.removeItem(atPath: fault)
            _ = try server.waitUntil { $0.workers.first?.state == "ready" && $0.connections == 10 }
            try crowd.pass()
            // The first is started at once, the others after 0.2, 0.4, 0.8 and 1.6 s. What is heard late seems to have been sooner.
            let pauses = zip(heard.dropFirst(), heard).map { $0 - $1 }
            #expect(pauses[3] > .milliseconds(400) && pauses[4] > .milliseconds(800), "\(pauses)")
            // One that was ready is followed at once, whatever was before it.
            try server.killOnlyWorker()
            try crowd.end()
        }
    }

    extension Server {
        fileprivate func killOnlyWorker() throws {
            let worker = try status().workers.first?.pid ?? 0
            kill(worker, SIGKILL)
            _ = try waitUntil { $0.workers.first.map { $0.pid != worker && $0.state == "ready" } ?? false }
        }
    }
#endif
