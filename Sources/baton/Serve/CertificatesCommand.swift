import ArgumentParser
import BatonConfiguration
import BatonServer

/// `baton certificates`: which certificate is served where, and until when.
struct CertificatesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificates",
        abstract: "Show which certificates a running server serves, where, and until when.",
        discussion: """
            What the server uses, which is not what the files hold if a changed one could not be used. NAMES has the first three \
            server names, --json all of them. OCSP is the response that is stapled.
            """)

    @OptionGroup var server: ControlOption

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await OneLine.errors {
            let report = try server.client.certificates()
            print(json ? try JSONDocument.text(report) : report.table)
        }
    }
}
