import ArgumentParser
import BatonServer

/// The process behind `baton serve` that accepts; that starts it.
struct ServeFrontCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve-front", shouldDisplay: false)

    @Argument(parsing: .captureForPassthrough)
    var arguments: [String] = []

    func run() async throws {
        try await OneLine.errors {
            try await FrontMain.run(try ServeOptions(arguments: arguments, isFront: true))
        }
    }
}
