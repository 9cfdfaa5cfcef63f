import Configuration

/// The settings in the environment. Every key is a variable: `BATON_`, and the key in capitals, with `_` for `.` and `-`.
///
/// | variable | stands for |
/// |---|---|
/// | `BATON_LIMITS_CONNECTIONS` | `limits.connections` |
/// | `BATON_LISTENERS_MY_WEB_IDLE_TIME` | `listeners.my-web.idle-time` |
/// | `BATON_LISTEN`, `BATON_CERT`, `BATON_KEY`, `BATON_UPSTREAM` | what the short flags stand for |
///
/// A name is read as the one that the file or a flag has and that is written alike; if none has it, `_` stands for `-`. Of the
/// settings that the end of a variable could be, the longest holds. Lists are divided by commas. A variable without a value
/// counts as none.
package struct EnvironmentSettings {
    /// The variables by the keys that they stand for.
    let variables: [String: String]
    /// Variables that cannot be told apart, or say the same.
    let problems: [ConfigurationProblem]
    /// Variables that begin as settings do and are none, with the nearest that is one.
    package let strays: [(name: String, nearest: String)]
    private let values: [String: String]

    private static let prefix = "BATON_"
    /// Variables that are read elsewhere: the file's name, and what the processes of a server tell each other.
    private static let others: Set = ["BATON_CONFIG", "BATON_FAULT", "BATON_KEEPER_STATE", "BATON_PRIVILEGES"]
    private static let short = [
        "BATON_LISTEN": "listeners.default.address", "BATON_CERT": "certificates.default.chain",
        "BATON_KEY": "certificates.default.key", "BATON_UPSTREAM": "upstreams.default.addresses",
    ]

    /// - Parameters:
    ///   - environment: all variables.
    ///   - keys: those of the file and the flags, for the names in them.
    package init(_ environment: [String: String], besides keys: Set<String> = []) {
        var variables: [String: String] = [:]
        var values: [String: String] = [:]
        var problems: [ConfigurationProblem] = []
        var strays: [(name: String, nearest: String)] = []
        func take(_ key: String, _ value: String, from variable: String) {
            if let other = variables[key], other != variable {
                let message = "\(other) says the same; set one of the two"
                return problems.append(
                    .init(code: .contradiction, key: key, message: message, origin: .environment(variable)))
            }
            variables[key] = variable
            values[Self.variable(of: key)] = value
        }
        for (variable, value) in environment.sorted(by: { $0.key < $1.key })
        where variable.hasPrefix(Self.prefix) && !value.isEmpty && !Self.others.contains(variable) {
            if variable == "BATON_UPSTREAM" {
                let isBuiltIn = value == "echo" || value == "hello"
                if !isBuiltIn { take("upstreams.default.addresses", value, from: variable) }
                take("routes.default.target", isBuiltIn ? value : "default", from: variable)
                continue
            }
            switch Self.short[variable].map({ [$0] }) ?? Self.keys(of: variable, besides: keys) {
            case let found where found.count == 1: take(found[0], value, from: variable)
            case let found where found.isEmpty:
                if !Self.isOfKubernetes(variable) { strays.append((variable, Self.nearest(to: variable))) }
            case let found:
                let message = "may be \(found.sorted().joined(separator: " or ")); set it in the file"
                problems.append(
                    .init(code: .contradiction, key: nil, message: message, origin: .environment(variable)))
            }
        }
        self.variables = variables
        self.values = values
        self.problems = problems
        self.strays = strays
    }

    /// Where swift-configuration looks the values up.
    var provider: some ConfigProvider {
        EnvironmentVariablesProvider(environmentVariables: values).prefixKeys(with: "baton")
    }

    /// The variable that a key is.
    package static func variable(of key: String) -> String {
        prefix + String(key.uppercased().map { $0.isLetter || $0.isNumber ? $0 : "_" })
    }

    /// The keys that a variable may stand for: none, one, or one for each name that is written alike.
    private static func keys(of variable: String, besides keys: Set<String>) -> [String] {
        if let row = SettingGroup.all[0].rows.first(where: { Self.variable(of: $0.key) == variable }) {
            return [row.key]
        }
        for group in SettingGroup.all {
            guard let prefix = group.prefix else { continue }
            let start = Self.variable(of: prefix) + "_"
            guard variable.hasPrefix(start) else { continue }
            let rest = variable.dropFirst(start.count)
            let rows = group.rows.sorted { ($1.key.count, $0.key) < ($0.key.count, $1.key) }
            for row in rows {
                let end = "_" + Self.variable(of: row.key).dropFirst(Self.prefix.count)
                guard rest.hasSuffix(end), rest.count > end.count else { continue }
                let name = String(rest.dropLast(end.count))
                let known = Set(
                    keys.compactMap { key -> String? in
                        let parts = key.split(separator: ".", maxSplits: 2).map(String.init)
                        guard parts.count > 1, parts[0] == prefix,
                            Self.variable(of: parts[1]) == Self.prefix + name
                        else { return nil }
                        return parts[1]
                    })
                if !known.isEmpty { return known.map { group.key(row.key, of: $0) } }
                guard name == name.uppercased() else { return [] }
                let made = name.lowercased().replacing("_", with: "-")
                return SettingName(made) == nil ? [] : [group.key(row.key, of: made)]
            }
        }
        return []
    }

    private static func nearest(to variable: String) -> String {
        var candidates =
            SettingGroup.all[0].rows.map { Self.variable(of: $0.key) } + short.keys.sorted() + ["BATON_CONFIG"]
        let words = variable.split(separator: "_", omittingEmptySubsequences: false).dropFirst()
        for group in SettingGroup.all {
            guard let prefix = group.prefix else { continue }
            for row in group.rows {
                let end = Self.variable(of: row.key).dropFirst(Self.prefix.count)
                let name = words.dropFirst().dropLast(end.split(separator: "_").count)
                guard !name.isEmpty else { continue }
                candidates.append("\(Self.variable(of: prefix))_\(name.joined(separator: "_"))_\(end)")
            }
        }
        return candidates.nearest(to: variable)
    }

    /// Whether Kubernetes has set it, as it does in all containers beside a Service with the name `baton`.
    private static func isOfKubernetes(_ variable: String) -> Bool {
        ["BATON_SERVICE_HOST", "BATON_PORT"].contains(variable)
            || ["BATON_SERVICE_PORT", "BATON_PORT_"].contains { variable.hasPrefix($0) }
    }
}
