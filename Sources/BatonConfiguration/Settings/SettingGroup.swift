/// The settings that share a prefix: those of the whole server, or those of each named listener, certificate, route,
/// upstream or peer. A `SettingGroup` has forgotten the type of its section.
struct SettingGroup: Sendable {
    /// `listeners` and so on; nil for the settings of the whole server.
    let prefix: String?
    /// What the group is, for the document.
    let summary: String
    /// One row of the document for each setting.
    let rows: [Row]
    /// Puts values in place and returns the keys it needs and did not get, and the values it refused.
    let apply: @Sendable (_ name: String, _ values: [String: SettingValue], inout Configuration) -> [Fault]

    /// A setting without the type of its section.
    struct Row: Sendable {
        let key: String
        let allowed: String
        let defaultText: String?
        let words: [String]
        let isList: Bool
        let summary: String
    }

    /// A key whose value is refused or missing.
    struct Fault: Sendable {
        let row: Row
        /// Nil: missing.
        let value: SettingValue?
    }

    static let all: [SettingGroup] = [
        SettingGroup(nil, \.self, "The whole server."),
        SettingGroup(
            "listeners", \.listeners,
            "A listening socket and how its connections begin. Liveness settings travel with each connection."),
        SettingGroup(
            "certificates", \.certificates,
            "A certificate that listeners may show. Without any, `serve` makes a self-signed one."),
        SettingGroup(
            "routes", \.routes,
            "Where connections go. Without any they go to the only upstream, or to the built-in page."),
        SettingGroup("upstreams", \.upstreams, "A service behind the proxy."),
        SettingGroup("peers", \.peers, "Another host that connections move to and come from."),
    ]

    private init<Section: SettingSection>(
        _ prefix: String, _ place: any WritableKeyPath<Configuration, [String: Section]> & Sendable, _ summary: String
    ) {
        self.init(prefix: prefix, of: Section.self, summary) { name, configuration, change in
            change(&configuration[keyPath: place][name, default: Section()])
        }
    }

    private init<Section: SettingSection>(
        _ prefix: String?, _ place: any WritableKeyPath<Configuration, Section> & Sendable, _ summary: String
    ) {
        self.init(prefix: prefix, of: Section.self, summary) { _, configuration, change in
            change(&configuration[keyPath: place])
        }
    }

    private init<Section: SettingSection>(
        prefix: String?, of section: Section.Type, _ summary: String,
        change: @escaping @Sendable (String, inout Configuration, (inout Section) -> Void) -> Void
    ) {
        self.prefix = prefix
        self.summary = summary
        let rows = Section.settings.map {
            Row(
                key: $0.key, allowed: $0.allowed, defaultText: $0.defaultText, words: $0.words, isList: $0.isList,
                summary: $0.summary)
        }
        self.rows = rows
        apply = { name, values, configuration in
            var faults: [Fault] = []
            change(name, &configuration) { section in
                for (setting, row) in zip(Section.settings, rows) {
                    if let value = values[setting.key] {
                        if !setting.apply(value, &section) { faults.append(Fault(row: row, value: value)) }
                    } else if setting.defaultText == nil {
                        faults.append(Fault(row: row, value: nil))
                    }
                }
            }
            return faults
        }
    }

    /// The whole key of a setting of this group.
    func key(_ setting: String, of name: String) -> String {
        prefix.map { "\($0).\(name).\(setting)" } ?? setting
    }

    /// The settings as rows of a Markdown table.
    var markdown: String {
        func cell(_ text: String) -> String { text.replacing("|", with: "\\|") }
        return
            (["| key | value | default | meaning |", "|---|---|---|---|"]
            + rows.map { row in
                let standard = row.defaultText.map { "`\(cell($0))`" } ?? "required"
                return "| `\(key(row.key, of: "NAME"))` | \(cell(row.allowed)) | \(standard) | \(cell(row.summary)) |"
            }).joined(separator: "\n")
    }
}
