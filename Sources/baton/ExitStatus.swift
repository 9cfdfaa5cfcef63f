import ArgumentParser

/// The exit statuses of every command. docs/serve.md and baton(1) have the same table.
enum ExitStatus {
    /// What a status means, in the order of their numbers.
    static let meanings: [(status: String, meaning: String)] = [
        (
            "0",
            "It is done. `serve`: the server was stopped, in order. `check`: the file is good. `drain`: everything has moved."
        ),
        (
            "1",
            "It failed, or a part of it; standard error says why. `serve`: the configuration is not good, or something else "
                + "stands against the start. `check`: there are problems."
        ),
        ("2", "The command line is wrong: a command, a flag or a value that is not allowed. Nothing was done."),
        ("128 + N", "`demo` was interrupted by signal N."),
    ]

    static let usage: Int32 = 2

    /// The status for what a command throws.
    static func of(_ code: ExitCode) -> Int32 { code == .validationFailure ? usage : code.rawValue }
}
