import ArgumentParser
import BatonServer

/// Starts the privileged process behind `baton serve`, which starts this.
struct ServePrivilegeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve-privilege", shouldDisplay: false)

    @OptionGroup var options: NetworkOptions

    func run() async throws {
        try await OneLine.errors {
            // Its own arguments are those of what it starts.
            let arguments = CommandLine.arguments.dropFirst(2).filter { $0 != "--confined" }
            try NetworkMain.keep(arguments, isConfined: options.confined)
        }
    }
}
