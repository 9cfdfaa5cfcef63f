import Foundation
import Testing

/// `docs/conformance.md` names a test for each requirement. A name that leads nowhere is worse than none.
@Suite("docs/conformance.md")
struct ConformanceDocumentTests {
    @Test("names only tests that exist, and one in each row")
    func tests() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let document = try String(contentsOf: root.appending(path: "docs/conformance.md"), encoding: .utf8)
        let sources = try #require(
            FileManager.default.enumerator(at: root.appending(path: "Tests"), includingPropertiesForKeys: nil))
        var texts: [String] = []
        for case let file as URL in sources where file.pathExtension == "swift" {
            texts.append(try String(contentsOf: file, encoding: .utf8))
        }
        var names = 0
        for row in document.split(separator: "\n") where row.prefixMatch(of: /\| [4-7](\.\d)* \|/) != nil {
            let tests = row.split(separator: "|").last?.matches(of: /`(\w+)\.(\w+)`/) ?? []
            #expect(!tests.isEmpty, "\(row)")
            for test in tests {
                let (suite, function) = (test.output.1, test.output.2)
                #expect(
                    texts.contains { $0.contains("struct \(suite) {") && $0.contains("func \(function)(") },
                    "\(suite).\(function)")
                names += 1
            }
        }
        #expect(names > 50)
    }
}
