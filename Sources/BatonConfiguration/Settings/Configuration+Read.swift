import Configuration

/// What a configuration is read from. A flag stands before a variable of the environment, and that before the file.
package struct ConfigurationSources: Sendable {
    /// The name of the file, for messages.
    private let path: String?
    private let values: [String: SettingValue]
    private let origins: [String: ConfigurationProblem.Origin]
    /// The lines of the file's keys.
    private let lines: [String: Int]
    /// Variables that begin as settings do and are none, a line for each.
    package let notices: [String]

    /// - Parameters:
    ///   - file: the YAML text; nil or nothing but comments: all from elsewhere and defaults.
    ///   - path: the name of that file.
    ///   - environment: the variables of the environment.
    ///   - flags: values by their whole keys, as `ConfigurationFlags` makes them.
    /// - Throws: `ConfigurationError` if the values cannot be told.
    package init(
        file: String? = nil, path: String? = nil, environment: [String: String] = [:],
        flags: [String: SettingValue] = [:]
    ) throws(ConfigurationError) {
        let text = file.flatMap { $0.saysSomething ? YAMLText($0) : nil }
        let variables = EnvironmentSettings(
            environment, besides: Set(flags.keys).union(text?.lines.keys.map { $0 } ?? []))
        let problems = (text?.problems ?? []) + variables.problems
        guard problems.isEmpty else { throw ConfigurationError(problems: problems, file: path) }
        self.path = path
        lines = text?.lines ?? [:]
        notices = variables.strays.map {
            "\($0.name) in the environment is no setting; the nearest is \($0.nearest)"
        }
        var origins: [String: ConfigurationProblem.Origin] = [:]
        for key in text?.values.keys.map({ $0 }) ?? [] { origins[key] = .file(line: text?.lines[key]) }
        for (key, variable) in variables.variables { origins[key] = .environment(variable) }
        for key in flags.keys { origins[key] = .flag }
        self.origins = origins
        let reader = ConfigReader(providers: [
            InMemoryProvider(name: "flags", values: flags.asConfigValues), variables.provider,
            InMemoryProvider(name: "file", values: (text?.values ?? [:]).asConfigValues),
        ])
        var values: [String: SettingValue] = [:]
        for key in origins.keys { values[key] = Self.value(of: key, in: reader) }
        self.values = values
    }

    /// A variable of the environment is a list only where one is taken: a path may have a comma in it.
    private static func value(of key: String, in reader: ConfigReader) -> SettingValue? {
        let path = ConfigKey(key.split(separator: ".", omittingEmptySubsequences: false).map(String.init))
        let word = { (try? reader.requiredString(forKey: path)).map(SettingValue.scalar) }
        let words = { (try? reader.requiredStringArray(forKey: path)).map(SettingValue.list) }
        return SettingPlace.isList(key) ? words() ?? word() : word() ?? words()
    }

    /// The configuration that they are.
    ///
    /// - Throws: `ConfigurationError` with everything that is wrong.
    package func configuration() throws(ConfigurationError) -> Configuration {
        var configuration = Configuration()
        let problems = configuration.apply(values) + configuration.contradictions()
        guard problems.isEmpty else { throw located(problems) }
        return configuration
    }

    /// Does something that finds problems, and says where to look for what they are about.
    package func locating<Value>(
        _ body: () throws(ConfigurationError) -> Value
    ) throws(ConfigurationError) -> Value {
        do {
            return try body()
        } catch {
            throw located(error.problems)
        }
    }

    /// The problems, in the order of the file, with their places.
    package func located(_ problems: [ConfigurationProblem]) -> ConfigurationError {
        let placed = problems.map { problem in
            var problem = problem
            problem.origin = problem.origin ?? problem.key.flatMap(origin)
            return problem
        }
        return ConfigurationError(problems: placed, file: path)
    }

    /// Where a key is set; for one that is not, what it would stand in.
    private func origin(of key: String) -> ConfigurationProblem.Origin? {
        if let origin = origins[key] { return origin }
        var parts = key.split(separator: ".")[...]
        while !parts.isEmpty {
            let part = parts.joined(separator: ".")
            if let line = lines[part] { return .file(line: line) }
            // A section that is made by flags or variables alone.
            if let below = origins.filter({ $0.key.hasPrefix(part + ".") }).min(by: { $0.key < $1.key }) {
                return below.value
            }
            parts = parts.dropLast()
        }
        return nil
    }
}

extension Configuration {
    /// Reads a configuration; a flag stands before the file.
    ///
    /// - Parameters:
    ///   - file: the YAML text; nil or nothing but comments: all from flags and defaults.
    ///   - flags: values by their whole keys, as `ConfigurationFlags` makes them.
    /// - Throws: `ConfigurationError` with everything that is wrong.
    package init(file: String? = nil, flags: [String: SettingValue] = [:]) throws(ConfigurationError) {
        self = try ConfigurationSources(file: file, flags: flags).configuration()
    }

    fileprivate mutating func apply(_ values: [String: SettingValue]) -> [ConfigurationProblem] {
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
