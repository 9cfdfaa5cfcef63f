import ArgumentParser
import BatonConfiguration
import BatonServer
import Foundation

/// `baton status`: what a running server is doing.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the workers, connections and moves of a running server.")

    @OptionGroup var server: ControlOption

    @Flag(help: "Print one JSON document.")
    var json = false

    @Flag(help: "Fail unless the server runs in this container (PID namespace).")
    var here = false

    func run() async throws {
        try await OneLine.errors {
            let report = try server.client.status()
            if here, report.pidNamespace == nil || report.pidNamespace != PIDNamespace.current {
                throw Failure("the server at the control socket runs in another container")
            }
            print(json ? try JSONDocument.text(report) : report.table)
        }
    }
}
