import Foundation
import Testing

@testable import BatonConfiguration

@Suite("The documents of the configuration")
struct ConfigurationDocumentTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: Self.root.appending(path: path), encoding: .utf8)
    }

    @Test("configuration.md has exactly the table of every group of settings", arguments: SettingGroup.all)
    func document(group: SettingGroup) throws {
        let document = try text("docs/configuration.md")
        #expect(document.contains("\n\(group.summary)\n\n\(group.markdown)\n"), "\(group.summary)\n\n\(group.markdown)")
    }

    @Test("the example is accepted and has every key there is")
    func example() throws {
        let yaml = try text("docs/examples/baton.yaml")
        _ = try Configuration(file: yaml)
        let keys = YAMLText(yaml).values.keys
        for group in SettingGroup.all {
            for row in group.rows {
                let isThere = keys.contains { key in
                    group.prefix.map { key.hasPrefix("\($0).") && key.hasSuffix(".\(row.key)") } ?? (key == row.key)
                }
                #expect(isThere, "\(group.key(row.key, of: "NAME"))")
            }
        }
    }

    @Test("what the tables call a default is read as that default", arguments: SettingGroup.all.indices)
    func defaults(index: Int) throws {
        let group = SettingGroup.all[index]
        var values: [String: SettingValue] = [:]
        for row in group.rows {
            guard let text = row.defaultText else { continue }
            let isList = text.hasPrefix("[")
            let words = text.dropFirst().dropLast().split(separator: ", ").map(String.init)
            values[row.key] = isList ? .list(words) : .scalar(text)
        }
        var (given, standard) = (Configuration(), Configuration())
        let faults = group.apply("x", values, &given)
        _ = group.apply("x", [:], &standard)
        #expect(faults.allSatisfy { $0.value == nil } && given == standard, "\(faults)")
    }
}
