/// The keys of the configuration for the command line, in words.
package enum SettingHelp {
    /// Flags that stand for keys, with what follows them.
    package static let shortFlags: [(flag: String, value: String, meaning: String)] = [
        ("--config", "FILE", "The configuration file; FILE alone is the same."),
        ("--listen", "ADDR", "Listen there: --listeners.default.address."),
        ("--cert", "FILE", "The certificate: --certificates.default.chain."),
        ("--key", "FILE", "Its private key: --certificates.default.key."),
        ("--upstream", "ADDR", "Where connections go: --upstreams.default.addresses; or `echo` or `hello`."),
    ]

    /// Every key as a flag, with what it does, what it takes and its default.
    ///
    /// - Parameter columns: the longest line.
    package static func text(columns: Int = 80) -> String {
        var lines = ["FLAGS:"]
        for (flag, value, meaning) in shortFlags {
            lines.append("  \(flag) \(value)")
            lines += wrapped(meaning, columns)
        }
        for group in SettingGroup.all {
            lines += ["", "\((group.prefix ?? "server").uppercased()):"]
            lines += wrapped(group.summary, columns, indent: 2)
            for row in group.rows {
                let standard = row.defaultText.map { "default \($0)" } ?? "required"
                lines.append("  --\(group.key(row.key, of: "NAME"))")
                lines += wrapped("\(row.summary) (\(row.allowed); \(standard))", columns)
            }
        }
        return lines.joined(separator: "\n")
    }

    private static func wrapped(_ text: String, _ columns: Int, indent: Int = 10) -> [String] {
        let indent = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = ""
        for word in text.replacing("`", with: "").split(separator: " ") {
            if !line.isEmpty, indent.count + line.count + 1 + word.count > columns {
                lines.append(indent + line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return lines + [indent + line]
    }
}
