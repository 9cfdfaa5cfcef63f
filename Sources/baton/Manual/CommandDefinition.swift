import ArgumentParser
import Foundation

/// A subcommand as swift-argument-parser tells of it, in the JSON from which its own manual pages are made.
struct CommandDefinition {
    let name: String
    let abstract: String
    let discussion: String
    /// How it is called.
    let usage: String
    /// What is shown in its help.
    let arguments: [Argument]

    init<Command: ParsableCommand>(_ command: Command.Type) throws {
        name = command._commandName
        abstract = command.configuration.abstract
        discussion = command.configuration.discussion
        usage = Baton.usageString(for: command)
        let tool = try JSONDecoder().decode(Tool.self, from: Data(command._dumpHelp().utf8))
        arguments = (tool.command.arguments ?? []).filter(\.shouldDisplay)
    }

    /// All that are shown.
    static func all() throws -> [CommandDefinition] {
        let shown = Baton.configuration.subcommands.filter { $0.configuration.shouldDisplay }
        return try shown.map { try CommandDefinition($0) }
    }

    private struct Tool: Decodable {
        struct Command: Decodable { var arguments: [Argument]? }
        var command: Command
    }

    struct Argument: Decodable {
        struct Name: Decodable {
            var kind: String
            var name: String
        }
        var kind: String
        var shouldDisplay: Bool
        var names: [Name]?
        var valueName: String?
        var defaultValue: String?
        var abstract: String?

        /// As it is written: `-h, --help`, `--control PATH`, `FILE`.
        var synopsis: String {
            let words = (names ?? []).map { $0.kind == "long" ? "--\($0.name)" : "-\($0.name)" }.joined(separator: ", ")
            let value = kind == "flag" ? "" : (valueName ?? "value").uppercased()
            return [words, value].filter { !$0.isEmpty }.joined(separator: " ")
        }
    }
}
