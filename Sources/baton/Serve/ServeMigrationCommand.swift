import ArgumentParser
import BatonServer

/// The process behind `baton serve` that speaks with other hosts.
struct ServeMigrationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve-migration", shouldDisplay: false)

    @Flag var confined = false

    func run() async throws {
        try await OneLine.errors { try await MigrationMain.run(isConfined: confined) }
    }
}
