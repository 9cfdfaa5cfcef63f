import ArgumentParser
import BatonConfiguration
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
            DrainCommand.self, CertificatesCommand.self,
            CheckCommand.self, DemoCommand.self, ManualCommand.self, DemoOwnerCommand.self, ServeWorkerCommand.self,
            ServeNetworkCommand.self, ServePrivilegeCommand.self, ServeMigrationCommand.self,
            ServeFrontCommand.self, ServeTrialCommand.self, CompleteServeCommand.self,
        ])

    /// The exit status is one of `ExitStatus`; each error is one line.
    static func main() async {
        ProcessHardening.apply()
        if let script = CompletionScript.requested(CommandLine.arguments) {
            print(script, terminator: "")
            ProcessExit.leave(0)
        }
        do {
            try ConfinedProcess.begin(CommandLine.arguments)
            var arguments = Array(CommandLine.arguments.dropFirst())
            try refuseUnknownCommand(arguments)
            // The help of `serve` has more than the parser knows.
            if arguments == ["help", "serve"] { arguments = ["serve", "--help"] }
            var command = try parseAsRoot(arguments)
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

    /// The parser takes a command that it does not know for an argument too many.
    private static func refuseUnknownCommand(_ arguments: [String]) throws {
        let words = arguments.first == "help" ? arguments.dropFirst() : arguments[...]
        guard let word = words.first, !word.hasPrefix("-"), word != "help" else { return }
        let commands = configuration.subcommands
        guard !commands.contains(where: { $0._commandName == word }) else { return }
        let names = commands.filter { $0.configuration.shouldDisplay }.map { $0._commandName }
        let nearest = names.nearest(to: word, within: 3)
        throw ValidationError(
            "there is no command \(SettingValue.scalar(word))"
                + (nearest.map { "; did you mean \($0)?" } ?? "; baton --help lists those that there are"))
    }

    private static func end(with error: any Error) -> Never {
        let status = exitCode(for: error)
        if status == .success {
            print(fullMessage(for: error))
            ProcessExit.leave(0)
        }
        let lines = message(for: error).split(separator: "\n").map { "baton: \($0)" }
        ProcessExit.leave(
            ExitStatus.of(status), saying: lines.isEmpty ? nil : lines.joined(separator: "\n"))
    }
}
