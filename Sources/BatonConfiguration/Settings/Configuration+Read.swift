import Configuration

extension Configuration {
    /// Reads a configuration; a flag stands before the file.
    ///
    /// - Parameters:
    ///   - file: the YAML text; nil or nothing but comments: all from flags and defaults.
    ///   - flags: values by their whole keys, as `ConfigurationFlags` makes them.
    /// - Throws: `ConfigurationError` with everything that is wrong.
    package init(file: String? = nil, flags: [String: SettingValue] = [:]) throws(ConfigurationError) {
        let values = try Self.values(file: file, flags: flags)
        self.init()
        let problems = apply(values) + contradictions()
        guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
    }

    /// All values by their whole keys.
    private static func values(
        file: String?, flags: [String: SettingValue]
    ) throws(ConfigurationError) -> [String: SettingValue] {
        var providers: [any ConfigProvider] = [InMemoryProvider(name: "flags", values: flags.asConfigValues)]
        var keys = Set(flags.keys)
        if let file, file.saysSomething {
            do {
                let text = Array(file.utf8)
                let yaml = try YAMLText(text.span.bytes)
                keys.formUnion(yaml.keys)
                providers.append(yaml)
            } catch {
                let reason = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
                let message =
                    "the file cannot be read as YAML keys and values (\(reason)); "
                    + "listeners, routes and so on are mappings with a name for each"
                throw ConfigurationError(problems: [.init(code: .unreadable, key: nil, message: message)])
            }
        }
        let reader = ConfigReader(providers: providers)
        var values: [String: SettingValue] = [:]
        for key in keys {
            let path = ConfigKey(key.split(separator: ".", omittingEmptySubsequences: false).map(String.init))
            // Everything is read as text: `64K`, `5s` and `1.2` have a meaning that YAML does not know.
            if let word = try? reader.requiredString(forKey: path) {
                values[key] = .scalar(word)
            } else if let words = try? reader.requiredStringArray(forKey: path) {
                values[key] = .list(words)
            } else {
                let message = "has a value that is neither a word nor a list of words"
                throw ConfigurationError(problems: [.init(code: .badValue, key: key, message: message)])
            }
        }
        return values
    }

    private mutating func apply(_ values: [String: SettingValue]) -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        var named: [SettingPlace: [String: SettingValue]] = [SettingPlace(group: 0, name: ""): [:]]
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            switch SettingPlace.find(key) {
            case .setting(let place, let setting): named[place, default: [:]][setting] = value
            case .empty(let place) where value == .scalar(""): named[place] = named[place] ?? [:]
            case .nothing where value == .scalar(""): break
            case .empty, .nothing: problems.append(.wrongShape(key))
            case .badName(let name): problems.append(.badName(name, in: key))
            case .unknown(let nearest): problems.append(.unknown(key, nearest: nearest))
            }
        }
        for (place, values) in named.sorted(by: { $0.key < $1.key }) {
            let group = SettingGroup.all[place.group]
            problems += group.apply(place.name, values, &self).map { fault in
                .init(fault, key: group.key(fault.row.key, of: place.name))
            }
        }
        return problems
    }
}

extension ConfigurationProblem {
    fileprivate init(_ fault: SettingGroup.Fault, key: String) {
        if let value = fault.value {
            self.init(code: .badValue, key: key, message: "\(value) is not allowed; it must be \(fault.row.allowed)")
        } else {
            self.init(code: .missing, key: key, message: "is missing; it must be \(fault.row.allowed)")
        }
    }

    fileprivate static func wrongShape(_ key: String) -> Self {
        let form = key.contains(".") ? "\(key).SETTING" : "\(key).NAME.SETTING"
        return Self(
            code: .badValue, key: key, message: "takes no value itself; write its settings below it, as \(form)")
    }

    fileprivate static func badName(_ name: String, in key: String) -> Self {
        Self(
            code: .badValue, key: key,
            message: "\(SettingValue.scalar(name)) is not a name; it must be \(SettingName.form)")
    }

    fileprivate static func unknown(_ key: String, nearest: String) -> Self {
        Self(code: .unknownKey, key: key, message: "there is no such key; the nearest is \(nearest)")
    }
}

extension [String: SettingValue] {
    fileprivate var asConfigValues: [AbsoluteConfigKey: ConfigValue] {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (key, value) in self {
            let path = AbsoluteConfigKey(key.split(separator: ".", omittingEmptySubsequences: false).map(String.init))
            switch value {
            case .scalar(let word): values[path] = ConfigValue(.string(word), isSecret: false)
            case .list(let words): values[path] = ConfigValue(.stringArray(words), isSecret: false)
            }
        }
        return values
    }
}

extension String {
    /// Whether there is more than blanks, comments and the marks of a document.
    fileprivate var saysSomething: Bool {
        split(whereSeparator: \.isNewline).contains { line in
            let text = line.drop(while: \.isWhitespace)
            return !text.isEmpty && text.first != "#" && text != "---" && text != "..."
        }
    }
}
