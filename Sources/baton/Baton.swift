import ArgumentParser
import BatonServer

/// The command line. Each subcommand is a file of its own.
@main
struct Baton: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "baton",
        abstract: "Moves live TLS connections between processes and machines, without the peer noticing.",
        version: BatonVersion.current,
        subcommands: [
            ServeCommand.self, StatusCommand.self, UpgradeCommand.self, ReloadCommand.self, WorkersCommand.self,
            DrainCommand.self,
            CheckCommand.self, DemoCommand.self, ManualCommand.self, DemoOwnerCommand.self, ServeWorkerCommand.self,
            ServeNetworkCommand.self, ServePrivilegeCommand.self, ServeMigrationCommand.self,
            ServeFrontCommand.self, ServeTrialCommand.self, CompleteServeCommand.self,
        ])

    /// Exit status 0, 1 (it failed), 2 (wrong arguments), or 128 and the number of the signal that ended it; an error is one
    /// line.
    static func main() async {
        ProcessHardening.apply()
        if let script = CompletionScript.requested(CommandLine.arguments) {
            print(script, terminator: "")
            ProcessExit.leave(0)
        }
        do {
            try ConfinedProcess.begin(CommandLine.arguments)
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            ProcessExit.leave(0)
        } catch {
            end(with: error)
        }
    }

    private static func end(with error: any Error) -> Never {
        let status = exitCode(for: error)
        if status == .success {
            print(fullMessage(for: error))
            ProcessExit.leave(0)
        }
        let message = message(for: error)
        ProcessExit.leave(
            status == .validationFailure ? 2 : status.rawValue, saying: message.isEmpty ? nil : "baton: \(message)")
    }
}
