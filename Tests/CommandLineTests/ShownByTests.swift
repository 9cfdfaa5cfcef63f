import Foundation
import Testing

/// Documents that name a test for each thing they claim. A name that leads nowhere is worse than none.
@Suite("A document that names tests")
struct ShownByTests {
    /// A document, what begins a row that claims something, and the column in which its tests stand, from the left.
    struct Document: CustomTestStringConvertible, Sendable {
        let path: String
        let column: Int
        /// The least number of names.
        let count: Int

        var testDescription: String { path }
    }

    @Test(
        "names only tests that exist, and one in each row",
        arguments: [
            Document(path: "docs/conformance.md", column: 3, count: 50),
            Document(path: "docs/scenarios.md", column: 2, count: 80),
            Document(path: "docs/comparison.md", column: 1, count: 20),
        ])
    func tests(_ document: Document) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: document.path), encoding: .utf8)
        let tests = try Self.tests(in: root.appending(path: "Tests"))
        var names = 0
        for row in text.split(separator: "\n") where row.hasPrefix("| ") {
            let columns = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard columns.count > document.column else { continue }
            let cell = columns[document.column]
            guard !["shown by", "Baton"].contains(cell) else { continue }
            let named = cell.matches(of: /`(\w+)\.(\w+)`/)
            #expect(!named.isEmpty, "\(row)")
            for name in named {
                #expect(tests.contains("\(name.output.1).\(name.output.2)"), "\(name.output.0)")
                names += 1
            }
        }
        #expect(names >= document.count)
    }

    /// Every test as `Suite.function`. A file has one suite or several; each function belongs to the last before it.
    private static func tests(in folder: URL) throws -> Set<String> {
        var tests: Set<String> = []
        let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        for case let file as URL in files where file.pathExtension == "swift" {
            var suite: Substring = ""
            for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
                let words = line.split(whereSeparator: { !$0.isLetter && !$0.isNumber && $0 != "_" })
                for (keyword, name) in zip(words, words.dropFirst()) {
                    switch keyword {
                    case "struct", "enum", "extension", "class": if name.hasSuffix("Tests") { suite = name }
                    case "func": tests.insert("\(suite).\(name)")
                    default: break
                    }
                }
            }
        }
        return tests
    }
}
