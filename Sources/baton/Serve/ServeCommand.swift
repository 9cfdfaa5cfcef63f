import ArgumentParser
import BatonConfiguration
import BatonServer

/// `baton serve`: the server. Its flags are the keys of the configuration.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve TLS with processes that can be replaced while the connections live on.",
        usage: """
            baton serve [FILE] [--listen ADDR] [--cert FILE --key FILE] [--upstream ADDR]
                        [--workers N] [--move-every N] [--control PATH] [--admin ADDR] [--KEY VALUE …]
                        [--succeed PATH [--succeed-only] [--succeed-stay]]
            """,
        discussion: """
            Every key of the configuration file is a flag, --limits.connections 5000, and a variable of the environment, \
            BATON_LIMITS_CONNECTIONS. A flag stands before the environment, and that before the file. Without a certificate \
            a self-signed one is made; without an upstream a built-in page answers; --upstream echo sends every byte back. \
            With --succeed it takes over from the server whose control socket is at PATH, or is the first; --succeed-only: it \
            must be there; --succeed-stay: the main process stays when it has been succeeded. SIGHUP reads the configuration \
            again, SIGUSR2 upgrades, SIGTERM shuts down.
            """)

    @Argument(parsing: .captureForPassthrough, help: ArgumentHelp("The flags above.", visibility: .hidden))
    var arguments: [String] = []

    /// On the main thread, with no other: it may execute another program in its place.
    func run() throws {
        guard !arguments.contains("--help"), !arguments.contains("-h") else {
            throw CleanExit.message(Baton.helpMessage(for: Self.self) + "\n" + SettingHelp.text())
        }
        let status: Int32
        do {
            status = try KeeperMain.run(try ServeOptions(arguments: arguments))
        } catch {
            throw OneLine.line(error)
        }
        if status != 0 { throw ExitCode(status) }
    }
}
