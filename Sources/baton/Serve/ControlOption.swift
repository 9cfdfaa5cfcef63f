import ArgumentParser
import BatonConfiguration
import BatonServer
import Foundation

/// Where a running server is commanded.
struct ControlOption: ParsableArguments {
    @Option(
        help: ArgumentHelp("The control socket of the server. BATON_CONTROL names another default.", valueName: "path"),
        completion: .file())
    var control = standard

    private static var standard: String {
        let named = ProcessInfo.processInfo.environment["BATON_CONTROL"] ?? ""
        return named.isEmpty ? Configuration().control : named
    }

    var client: ControlClient { ControlClient(path: control) }
}
