/// The flags of `baton serve` as values by their whole keys. Every key is a flag: `--limits.connections 5000` or
/// `--limits.connections=5000`; a flag that is given again makes a list. Some have short forms:
///
/// | short | stands for |
/// |---|---|
/// | `--listen ADDR` | `--listeners.default.address ADDR` |
/// | `--cert FILE`, `--key FILE` | `--certificates.default.chain FILE`, `--certificates.default.key FILE` |
/// | `--upstream ADDR` | `--upstreams.default.addresses ADDR` and `--routes.default.target default` |
/// | `--upstream echo`, `--upstream hello` | `--routes.default.target echo`, `hello` |
package struct ConfigurationFlags: Hashable, Sendable {
    /// The values, for `Configuration.init(file:flags:)`.
    package private(set) var values: [String: SettingValue] = [:]

    /// Reads arguments, all of which must be flags with a value.
    ///
    /// - Throws: `ConfigurationError` for an argument that is no flag, or a flag without a value. Whether the key exists
    ///   and takes the value is found by `Configuration.init(file:flags:)`.
    package init(_ arguments: [String]) throws(ConfigurationError) {
        var problems: [ConfigurationProblem] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--"), argument.count > 2 else {
                let message = "\(SettingValue.scalar(argument)) is not a flag; write --KEY VALUE"
                problems.append(.init(code: .badFlag, key: nil, message: message))
                continue
            }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = String(parts[0])
            if parts.count == 2 {
                set(key, String(parts[1]))
            } else if let value = rest.first, !value.hasPrefix("--") {
                set(key, value)
                rest.removeFirst()
            } else {
                problems.append(.init(code: .badFlag, key: "--\(key)", message: "has no value; write --\(key) VALUE"))
            }
        }
        guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
    }

    private mutating func set(_ flag: String, _ value: String) {
        switch flag {
        case "listen": add("listeners.default.address", value)
        case "cert": add("certificates.default.chain", value)
        case "key": add("certificates.default.key", value)
        case "upstream" where value == "echo" || value == "hello": values["routes.default.target"] = .scalar(value)
        case "upstream":
            add("upstreams.default.addresses", value)
            values["routes.default.target"] = .scalar("default")
        default: add(flag, value)
        }
    }

    private mutating func add(_ key: String, _ value: String) {
        values[key] = values[key].map { .list($0.words + [value]) } ?? .scalar(value)
    }
}
