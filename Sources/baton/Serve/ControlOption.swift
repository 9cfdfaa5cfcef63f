import ArgumentParser
import BatonConfiguration
import BatonServer

/// Where a running server is commanded.
struct ControlOption: ParsableArguments {
    @Option(help: "The control socket of the server.", completion: .file())
    var control = Configuration().control

    var client: ControlClient { ControlClient(path: control) }
}
