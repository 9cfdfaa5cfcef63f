import ArgumentParser
import BatonServer

/// One of the processes behind `baton serve`, which starts them.
struct ServeWorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve-worker", shouldDisplay: false)

    func run() async throws {
        try await OneLine.errors { try await WorkerMain.run() }
    }
}
