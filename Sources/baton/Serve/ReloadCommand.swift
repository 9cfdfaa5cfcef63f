import ArgumentParser
import BatonConfiguration
import BatonServer

/// `baton reload`: a running server reads its configuration again.
struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Have a running server read its configuration and certificates again.",
        discussion: """
            As SIGHUP, but it waits until every process of the server uses what was read, and says what was done. If anything \
            is wrong, the reason is printed, the exit status is 1, and the server goes on with what it had. A server that is \
            starting or being replaced reads its files when that is over.
            """)

    @OptionGroup var server: ControlOption

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await OneLine.errors {
            let report = try server.client.reload()
            print(json ? try JSONDocument.text(report) : report.description)
        }
    }
}
