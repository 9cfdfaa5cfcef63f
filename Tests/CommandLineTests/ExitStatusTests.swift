import Foundation
import StockPeers
import Testing

/// The exit statuses that docs/serve.md names, of each command.
@Suite("Exit statuses", .serialized)
struct ExitStatusTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var arguments: [String]
        var status: Int32
        var testDescription: String { "\(status): baton \(arguments.joined(separator: " "))" }
    }

    private static let nowhere = ["--control", "/nonexistent/c.sock"]

    @Test(
        "of each command",
        arguments: [
            Case(arguments: [], status: 0),
            Case(arguments: ["--version"], status: 0),
            Case(arguments: ["help"], status: 0),
            Case(arguments: ["help", "serve"], status: 0),
            Case(arguments: ["serve", "--help"], status: 0),
            Case(arguments: ["--generate-completion-script", "bash"], status: 0),
            Case(arguments: ["--generate-completion-script", "tcsh"], status: 2),
            Case(arguments: ["manual"], status: 0),
            Case(arguments: ["manual", "baton.conf"], status: 2),
            Case(arguments: ["status"] + nowhere, status: 1),
            Case(arguments: ["status", "--all"], status: 2),
            Case(arguments: ["upgrade"] + nowhere, status: 1),
            Case(arguments: ["upgrade", "--binary"], status: 2),
            Case(arguments: ["reload"] + nowhere, status: 1),
            Case(arguments: ["reload", "now"], status: 2),
            Case(arguments: ["workers", "2"] + nowhere, status: 1),
            Case(arguments: ["workers", "0"] + nowhere, status: 2),
            Case(arguments: ["workers"], status: 2),
            Case(arguments: ["drain", "--to", "b"] + nowhere, status: 1),
            Case(arguments: ["drain"] + nowhere, status: 2),
            Case(arguments: ["check", "/nonexistent/baton.yaml"], status: 1),
            Case(arguments: ["check"], status: 2),
            Case(arguments: ["check", "a", "--config", "b"], status: 2),
            Case(arguments: ["serve", "/nonexistent/baton.yaml"], status: 1),
            Case(arguments: ["serve"], status: 1),
            Case(arguments: ["serve", "--listen"], status: 2),
            Case(arguments: ["serve", "a.yaml", "b.yaml"], status: 2),
            Case(arguments: ["serve", "--listen", ":0", "--workers", "0"], status: 2),
            Case(arguments: ["serve", "--listen", ":0", "--worker", "1"], status: 2),
            Case(arguments: ["demo", "--moves", "0"], status: 2),
            Case(arguments: ["upgarde"], status: 2),
        ])
    func status(_ run: Case) throws {
        let result = try Command(run.arguments).run()
        #expect(result.status == run.status, "\(result.errors)")
        // What went wrong is on standard error alone, and nothing else is.
        #expect(result.errors.isEmpty == (run.status == 0), "\(result.errors)")
        #expect(result.output.isEmpty == (run.status != 0), "\(result.output)")
    }

    @Test(
        "a command that is misspelt is told with the nearest",
        arguments: [
            ("upgarde", "upgrade"), ("Status", "status"), ("server", "serve"), ("relaod", "reload"), ("chek", "check"),
        ])
    func nearest(word: String, command: String) throws {
        for arguments in [[word], ["help", word], [word, "--json"]] {
            let result = try Command(arguments).run()
            #expect(result.status == 2)
            #expect(result.errors == "baton: there is no command '\(word)'; did you mean \(command)?\n")
        }
    }

    @Test("and one that is like none is not taken for one")
    func none() throws {
        let result = try Command(["frobnicate"]).run()
        #expect(result.errors == "baton: there is no command 'frobnicate'; baton --help lists those that there are\n")
    }

    @Test("docs/serve.md and baton(1) have the same table")
    func documents() throws {
        let page = try Command(["manual", "baton"]).run().output
        let table = try #require(page.components(separatedBy: ".SH \"EXIT STATUS\"").dropFirst().first)
        let rows = table.components(separatedBy: ".SH").first?.components(separatedBy: ".TP\n").dropFirst() ?? []
        #expect(rows.count == 4)
        let document = try String(
            contentsOf: URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appending(path: "docs/serve.md"), encoding: .utf8)
        for row in rows {
            let lines = row.split(separator: "\n").map { $0.replacing("\\fB", with: "`").replacing("\\fR", with: "`") }
            #expect(document.contains("| \(lines[0].replacing("`", with: "")) | \(lines[1]) |"), "\(row)")
        }
    }
}
