/// What a shell may offer while the flags of `baton serve` are typed, from the tables of settings.
package enum FlagCompletion {
    /// The words that the last one may become; none: it is a value that only the operator knows, as a file.
    ///
    /// A key within a named section is offered in steps: `--listeners.`, `--listeners.NAME.`, and then the keys.
    ///
    /// - Parameters:
    ///   - words: what stands behind `serve`; the last may be unfinished, or empty.
    ///   - file: the text of the configuration file, whose names are offered too.
    package static func candidates(for words: [String], file: String = "") -> [String] {
        guard let last = words.last else { return [] }
        let before = words.dropLast()
        let found: [String]
        if let flag = before.last, flag.hasPrefix("--"), !flag.contains("=") {
            found = values(of: String(flag.dropFirst(2)), names: names(in: before, file: file))
        } else {
            found = flags(for: last, names: names(in: before, file: file))
        }
        return found.filter { $0.hasPrefix(last) }
    }

    private static let shortFlags = ["--config", "--listen", "--cert", "--key", "--upstream"]

    private static func flags(for word: String, names: [String: Set<String>]) -> [String] {
        let parts = word.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        let groups = SettingGroup.all.filter { $0.prefix != nil }
        guard parts.count > 1, let group = groups.first(where: { "--\($0.prefix ?? "")" == parts[0] }) else {
            return shortFlags + SettingGroup.all[0].rows.map { "--\($0.key)" } + groups.map { "--\($0.prefix ?? "")." }
        }
        if parts.count == 2 {
            let known = names[group.prefix ?? "", default: []].union(["default"])
            return known.sorted().map { "\(parts[0]).\($0)." }
        }
        return group.rows.map { "--\(group.key($0.key, of: parts[1]))" }
    }

    private static func values(of key: String, names: [String: Set<String>]) -> [String] {
        if key == "upstream" { return ["echo", "hello"] }
        guard case .setting(let place, let name) = SettingPlace.find(key),
            let row = SettingGroup.all[place.group].rows.first(where: { $0.key == name })
        else { return [] }
        switch (SettingGroup.all[place.group].prefix, name) {
        case ("routes", "target"): return ["echo", "hello"] + names["upstreams", default: []].sorted()
        case ("routes", "listeners"): return names["listeners", default: []].sorted()
        case ("listeners", "certificates"): return names["certificates", default: []].sorted()
        default: return row.words
        }
    }

    /// The names that there are so far, of each group.
    private static func names(in words: some Sequence<String>, file: String) -> [String: Set<String>] {
        let keys = Set(YAMLText(file).values.keys).union(words.map { String($0.trimmingPrefix("--")) })
        var names: [String: Set<String>] = [:]
        for key in keys {
            let parts = key.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard parts.count > 1, SettingGroup.all.contains(where: { $0.prefix == parts[0] }),
                SettingName(parts[1]) != nil
            else { continue }
            names[parts[0], default: []].insert(parts[1])
        }
        return names
    }
}
