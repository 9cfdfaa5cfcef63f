import ArgumentParser
import BatonConfiguration
import BatonServer

/// `baton workers`: more or fewer worker processes, while the connections live on.
struct WorkersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workers",
        abstract: "Set the number of worker processes of a running server.",
        discussion: """
            New workers start at once. Of those that are too many the youngest hand their connections to the others, and end. \
            The number holds through upgrades, until the configuration's own is changed and read again.
            """)

    @Argument(help: "How many workers there shall be, 1 to 1024.")
    var count: Int

    @OptionGroup var server: ControlOption

    @Flag(help: "Print one JSON document: that of baton status.")
    var json = false

    func validate() throws {
        guard (1...1024).contains(count) else { throw ValidationError("a server has 1 to 1024 workers, not \(count)") }
    }

    func run() async throws {
        try await OneLine.errors {
            let report = try server.client.setWorkers(count)
            print(json ? try JSONDocument.text(report) : report.table)
        }
    }
}
