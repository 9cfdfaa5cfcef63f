import Yams

/// The text of a configuration file as values by their whole keys, and the lines on which the keys stand.
///
/// Everything is taken as text: `64K`, `5s` and `1.2` have a meaning that YAML does not know.
struct YAMLText {
    /// The keys that have a value, joined by dots; a mapping without anything in it is no value.
    private(set) var values: [String: SettingValue] = [:]
    /// The lines of all keys, from 1, those of mappings included.
    private(set) var lines: [String: Int] = [:]
    /// Why there may be values missing, in the order of the file.
    private(set) var problems: [ConfigurationProblem] = []

    init(_ text: String) {
        do {
            guard let root = try Parser(yaml: text).singleRoot() else { return }
            guard let mapping = root.mapping else {
                refuse("it is no mapping of keys", key: nil, line: root.mark?.line)
                return
            }
            read(mapping, below: "", depth: 0)
        } catch let error as YamlError {
            let (reason, line) = error.reasonAndLine
            refuse(reason, key: nil, line: line)
        } catch {
            refuse("\(error)".split(whereSeparator: \.isNewline).joined(separator: " "), key: nil, line: nil)
        }
    }

    private mutating func read(_ mapping: Node.Mapping, below prefix: String, depth: Int) {
        for (keyNode, node) in mapping {
            let line = keyNode.mark?.line
            guard let name = keyNode.string else {
                refuse("a key is no word", key: prefix.isEmpty ? nil : prefix, line: line)
                continue
            }
            let key = prefix.isEmpty ? name : "\(prefix).\(name)"
            lines[key] = line
            switch node {
            case .mapping(let mapping) where depth < Self.depthLimit: read(mapping, below: key, depth: depth + 1)
            case .scalar(let scalar): values[key] = .scalar(scalar.string)
            case .sequence(let sequence):
                let words = sequence.compactMap(\.scalar?.string)
                guard words.count == sequence.count else {
                    refuse("a list has more in it than words", key: key, line: line)
                    continue
                }
                values[key] = .list(words)
            case .mapping, .alias: refuse("it is neither a word nor a list of words", key: key, line: line)
            }
        }
    }

    /// No key has as many parts.
    private static let depthLimit = 8

    private mutating func refuse(_ reason: String, key: String?, line: Int?) {
        let message =
            "the file cannot be read as YAML keys and values (\(reason)); "
            + "listeners, routes and so on are mappings with a name for each"
        problems.append(.init(code: .unreadable, key: key, message: message, origin: .file(line: line)))
    }
}

extension YamlError {
    /// What is wrong, in one line without what the file says, and on which line, from 1.
    fileprivate var reasonAndLine: (reason: String, line: Int?) {
        switch self {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            return ([context?.text, problem].compactMap { $0 }.joined(separator: ", "), mark.line)
        case .reader(let problem, let offset, _, let yaml):
            return (problem, offset.map { offset in 1 + yaml.prefix(offset).count(where: \.isNewline) })
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.sorted().map { "\(SettingValue.scalar($0))" }.joined(separator: ", ")
            return ("\(names) stands twice in one mapping", context.mark.line)
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            return ("\(self)".split(whereSeparator: \.isNewline).joined(separator: " "), nil)
        }
    }
}
