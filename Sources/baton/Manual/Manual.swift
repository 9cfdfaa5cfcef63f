import ArgumentParser
import BatonConfiguration
import BatonServer

/// The manual pages of this program.
enum Manual {
    static func pages() throws -> [ManualPage] {
        [try commands(), try serve(), .configuration(version: BatonVersion.current)]
    }

    /// baton(1).
    private static func commands() throws -> ManualPage {
        var page = ManualPage(
            "baton", section: 1, version: BatonVersion.current,
            summary: "moves live TLS connections between processes and machines")
        let commands = try CommandDefinition.all()
        page.heading("Synopsis")
        page.example(commands.map(\.usage).joined(separator: "\n"))
        page.heading("Description")
        page.paragraph(
            """
            `baton serve` is a TLS server whose connections outlive its processes: they move to other workers, to a new version \
            of the program and to other machines while their peers notice nothing. The other commands speak with a running \
            server over its control socket.
            """)
        page.heading("Commands")
        for command in commands {
            page.subheading(command.name)
            page.paragraph(command.abstract)
            guard command.name != ServeCommand.configuration.commandName else {
                page.paragraph("It has a page of its own, `baton-serve(8)`.")
                continue
            }
            if !command.discussion.isEmpty { page.paragraph(command.discussion) }
            add(command.arguments, to: &page)
        }
        page.heading("Options")
        page.item("--version", ["Show the version."])
        page.item("--help", ["Show how the program, or a command of it, is called."])
        page.item(
            "--generate-completion-script SHELL",
            ["Print what `bash`, `zsh` or `fish` needs to complete commands, flags and the keys of the configuration."])
        page.heading("See also")
        page.paragraph("`baton-serve(8)`, `baton.yaml(5)`")
        return page
    }

    /// baton-serve(8).
    private static func serve() throws -> ManualPage {
        let command = try CommandDefinition(ServeCommand.self)
        var page = ManualPage(
            "baton-serve", section: 8, version: BatonVersion.current,
            summary: "a TLS server whose connections outlive its processes")
        page.heading("Synopsis")
        page.example(command.usage)
        page.heading("Description")
        page.paragraph(command.abstract)
        page.paragraph(command.discussion)
        page.heading("Signals")
        for (signal, meaning) in [
            ("SIGHUP", "The configuration and all files that it names are read again, as by `baton reload`."),
            ("SIGUSR2", "A new process takes the place of the server, with every connection, as by `baton upgrade`."),
            ("SIGTERM, SIGINT, SIGQUIT", "The server shuts down in order. A second one closes what is left at once."),
        ] { page.item(signal, [meaning]) }
        page.heading("See also")
        page.paragraph("`baton(1)`, `baton.yaml(5)`")
        return page
    }

    private static func add(_ arguments: [CommandDefinition.Argument], to page: inout ManualPage) {
        // Every command has these two.
        let common = Set(["version", "help"])
        for argument in arguments where argument.names?.contains(where: { common.contains($0.name) }) != true {
            page.item(
                argument.synopsis,
                [argument.abstract ?? "", argument.defaultValue.map { "Default: `\($0)`." } ?? ""])
        }
    }
}
