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
        addExitStatuses(to: &page)
        page.heading("Environment")
        page.item(
            "BATON_CONTROL",
            ["The control socket of the server to speak with, where `--control` does not name another."])
        page.item("BATON_CONFIG", ["The configuration file of `serve` and `check`, where none is named."])
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
        page.paragraph(
            """
            The keys, with what each takes and its default, are those of `baton.yaml(5)`: `--limits.connections 5000` or \
            `--listeners.https.alpn=h2`. A flag that is given again makes a list.
            """)
        page.heading("Options")
        for (flag, value, meaning) in SettingHelp.shortFlags { page.item("\(flag) \(value)", [meaning]) }
        page.item("--KEY VALUE", ["Any key of the configuration."])
        page.heading("Environment")
        page.paragraph(ManualPage.environmentRules)
        page.item("BATON_CONFIG", ["The configuration file, where none is named."])
        page.heading("Signals")
        for (signal, meaning) in [
            ("SIGHUP", "The configuration and all files that it names are read again, as by `baton reload`."),
            ("SIGUSR2", "A new process takes the place of the server, with every connection, as by `baton upgrade`."),
            ("SIGTERM, SIGINT, SIGQUIT", "The server shuts down in order. A second one closes what is left at once."),
        ] { page.item(signal, [meaning]) }
        addExitStatuses(to: &page)
        page.heading("See also")
        page.paragraph("`baton(1)`, `baton.yaml(5)`")
        return page
    }

    private static func addExitStatuses(to page: inout ManualPage) {
        page.heading("Exit status")
        for (status, meaning) in ExitStatus.meanings { page.item(status, [meaning]) }
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
