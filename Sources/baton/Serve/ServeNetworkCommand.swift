import ArgumentParser
import BatonServer

/// The privileged process behind `baton serve`, which starts it.
struct ServeNetworkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve-network", shouldDisplay: false)

    @OptionGroup var options: NetworkOptions
    @Flag var restarted = false

    func run() async throws {
        try await OneLine.errors {
            try NetworkMain.run(
                interfaces: options.interface, addresses: options.address, takeCommand: options.takeCommand,
                leaveCommand: options.leaveCommand, isRestarted: restarted, isConfined: options.confined)
        }
    }
}
