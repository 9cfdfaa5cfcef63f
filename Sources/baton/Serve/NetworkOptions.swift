import ArgumentParser

/// What the privileged process may do.
struct NetworkOptions: ParsableArguments {
    @Option var interface: [String] = []
    @Option var address: [String] = []
    @Option var takeCommand: String?
    @Option var leaveCommand: String?
    @Flag var confined = false
}
