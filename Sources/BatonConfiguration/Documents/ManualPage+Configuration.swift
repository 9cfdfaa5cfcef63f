extension ManualPage {
    /// How the keys are written as variables of the environment.
    package static let environmentRules = """
        Every key is a variable, too: `BATON_`, and the key in capitals with `_` for each `.` and `-`, such as \
        `BATON_LIMITS_CONNECTIONS` or `BATON_LISTENERS_HTTPS_IDLE_TIME`. `BATON_LISTEN`, `BATON_CERT`, `BATON_KEY` and \
        `BATON_UPSTREAM` are the short flags. The environment stands before the file, and a flag before both. Commas divide \
        a list. A name is the one of the file that is written so; if there is none, `_` stands for `-` in it. Of the keys that \
        the end of a variable could be, the longest holds. A variable without a value counts as none, and one that is no \
        setting is told with the nearest.
        """

    /// baton.yaml(5), made from the tables of settings.
    ///
    /// - Parameter version: of the program.
    package static func configuration(version: String) -> ManualPage {
        var page = ManualPage("baton.yaml", section: 5, version: version, summary: "configuration of baton serve")
        page.heading("Description")
        page.paragraph(
            """
            `baton serve FILE` reads a YAML file, and `baton check FILE` says what is wrong with it without starting anything. \
            All that a server needs is one address to listen on:
            """)
        page.example("listeners:\n  https:\n    address: :8443")
        page.paragraph(
            """
            Listeners, certificates, routes, upstreams and peers have names of your choice: \(SettingName.form). \
            `NAME` below stands for one. A dot stands for a mapping: `limits.connections` is `connections` below `limits`.
            """)
        page.paragraph(
            """
            A time is a whole number with `ms`, `s`, `m`, `h` or `d`; a size is a whole number, alone or with `K`, `M` or `G` \
            (powers of 1024). Where a list is allowed, a single word is a list of one. An address is `HOST:PORT`, \
            `[IPV6]:PORT`, `unix:/PATH` or, to listen on every address of the machine, `:PORT`; one that begins with `[` \
            needs quotes.
            """)
        page.paragraph(
            """
            A key that does not exist, a value that is not allowed and settings that contradict each other are errors. All of \
            them are told at once, a line each.
            """)
        for group in SettingGroup.all {
            page.heading(group.prefix ?? "The whole server")
            page.paragraph(group.summary)
            for row in group.rows {
                let standard = row.defaultText.map { "Default: `\($0)`." } ?? "Required."
                page.item(group.key(row.key, of: "NAME"), [row.summary, "Value: \(row.allowed). \(standard)"])
            }
        }
        page.heading("Environment")
        page.paragraph(environmentRules)
        page.heading("See also")
        page.paragraph("`baton(1)`, `baton-serve(8)`")
        return page
    }
}
