import ArgumentParser
import BatonServer

/// Started by the main process of `baton serve` before it executes this program in its own place: whether that can be.
struct ServeTrialCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve-trial", shouldDisplay: false)

    @Argument var version: Int

    func run() throws { throw ExitCode(KeeperMain.readsState(version) ? 0 : 1) }
}
