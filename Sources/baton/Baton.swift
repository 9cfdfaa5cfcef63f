import ArgumentParser

/// The command line. Each subcommand is a file of its own.
@main
struct Baton: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "baton",
        abstract: "Moves live TLS connections between processes and machines, without the peer noticing.",
        version: "0.1.0")
}
