import ArgumentParser
import Foundation

/// An owner process of `baton demo`. The demo starts several; nobody else needs to.
struct DemoOwnerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo-owner", abstract: "An owner process of the demo (started by it).", shouldDisplay: false)

    @Option(help: "Where to take the connection.")
    var listen: String

    @Option(help: "Where to hand it on.")
    var next: String

    func run() throws {
        do {
            var owner = try DemoOwner(listen: listen, next: next)
            try owner.run()
        } catch {
            DemoLine.failed("\(error)").print()
            throw ExitCode(1)
        }
    }
}
