import ArgumentParser
import BatonServer

/// One of the processes behind `baton serve`, which starts them.
struct ServeWorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve-worker", shouldDisplay: false)

    /// Both are read by `ConfinedProcess.begin`, before there is more than one thread.
    @Option var confinement: String?
    @Option var directory: [String] = []

    func run() async throws {
        try await OneLine.errors { try await WorkerMain.run() }
    }
}
