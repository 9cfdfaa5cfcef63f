import ArgumentParser
import BatonProxy

/// The privileged process behind `baton serve`, which starts it.
struct ServeNetworkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve-network", shouldDisplay: false)

    @Option var interface: [String] = []
    @Option var address: [String] = []
    @Option var takeCommand: String?
    @Option var leaveCommand: String?
    @Flag var restarted = false
    @Flag var confined = false

    func run() async throws {
        try await OneLine.errors {
            try NetworkMain.run(
                interfaces: interface, addresses: address, takeCommand: takeCommand, leaveCommand: leaveCommand,
                isRestarted: restarted,
                isConfined: confined)
        }
    }
}
