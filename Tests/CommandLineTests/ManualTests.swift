import Foundation
import StockPeers
import Testing

/// The manual pages are made by the program itself.
@Suite("baton manual", .serialized)
struct ManualTests {
    private static let pages = ["baton.1", "baton-serve.8", "baton.yaml.5"]

    @Test("lists its pages, by the names of their files")
    func list() throws {
        let result = try Command(["manual"]).run()
        #expect(result.status == 0)
        #expect(result.output.split(separator: "\n").map(String.init) == Self.pages)
    }

    @Test("prints pages that man(1) shows without a warning", arguments: pages)
    func warnings(_ name: String) throws {
        let result = try Command(["manual", name]).run()
        #expect(result.status == 0)
        #expect(result.errors.isEmpty)
        let shown = try Self.show(result.output, name)
        #expect(shown.errors == "")
        let title = name.split(separator: ".").dropLast().joined(separator: ".")
        #expect(shown.text.contains("\(title.uppercased())(\(name.suffix(1)))"), "\(shown.text.prefix(200))")
        // What is meant for roff does not come out.
        #expect(!shown.text.contains("\\") && !shown.text.contains("`"), "\(shown.text)")
    }

    @Test("and a page with a fault is warned of")
    func fault() throws {
        #expect(try Self.show(".TH X 1\n.SH NAME\nx \\- y\n.PQ\n\\fZz\n", "x.1").errors.contains("PQ"))
    }

    @Test("tells every command that there is in baton(1), with its flags")
    func commands() throws {
        let page = try Self.show(Command(["manual", "baton"]).run().output, "baton.1").text
        let help = try Command(["--help"]).run().output
        let commands = help.matches(of: #/(?m)^  ([a-z]+)  /#).map { String($0.1) }
        #expect(commands.contains("drain") && commands.contains("check"))
        for command in commands {
            #expect(page.contains("\n   \(command)\n"), "\(command)")
            // Its flags are the keys.
            if command == "serve" { continue }
            let flags = try Command(["help", command]).run().output.matches(of: #/(?m)^  (--[a-z-]+)/#)
            for flag in flags { #expect(page.contains(flag.1), "\(command) \(flag.1)") }
        }
    }

    @Test("tells of every key in baton.yaml(5) what it is, what it takes and its default")
    func keys() throws {
        let page = try Self.show(Command(["manual", "baton.yaml"]).run().output, "baton.yaml.5").text
        let words = page.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(
            words.contains(
                "limits.connections The most connections in all. Value: a number from 1 to 10000000. Default: 100000."))
        #expect(words.contains("listeners.NAME.address Where to listen."))
        #expect(words.contains("names in the certificate. Two may claim a name") && words.contains("*.DOMAIN"))
    }

    @Test(
        "and so does baton serve --help, in lines for a terminal",
        arguments: [["serve", "--help"], ["help", "serve"]])
    func help(_ arguments: [String]) throws {
        let document = try String(
            contentsOf: URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appending(path: "docs/configuration.md"), encoding: .utf8)
        let keys = document.matches(of: #/\n\| `([a-z][a-zA-Z.-]+)` \| .* \| (`.*`|required) \| /#)
        #expect(keys.count > 90)
        let help = try Command(arguments).run().output
        for key in keys {
            #expect(help.contains("\n  --\(key.1)\n"), "\(key.1)")
            let standard = key.2 == "required" ? "required" : "default \(key.2.replacing("`", with: ""))"
            let words = help.split(separator: "\n  --\(key.1)\n").last?.split(separator: "\n  --").first?
                .split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(words?.contains("; \(standard))") == true, "\(key.1): \(words ?? "")")
        }
        let flags = help.split(separator: "\n").drop { $0 != "FLAGS:" }
        #expect(flags.count > 200 && flags.allSatisfy { $0.count <= 80 })
        #expect(help.contains("USAGE: baton serve [FILE]") && !help.contains("`"))
    }

    @Test("says which there are if there is none of a name")
    func unknown() throws {
        let result = try Command(["manual", "baton.toml"]).run()
        #expect(result.status == 2)
        #expect(result.complaints.count == 1 && result.errors.contains("baton, baton-serve, baton.yaml"))
    }

    /// What man(1) makes of a page, and what it complains of.
    private static func show(_ roff: String, _ name: String) throws -> (text: String, errors: String) {
        let files = try TemporaryFiles()
        let file = try files.write(roff, name)
        let man = Process()
        man.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        man.arguments = ["man", "--warnings", "-E", "UTF-8", "-P", "cat", "-l", file]
        man.environment = ProcessInfo.processInfo.environment.merging(
            ["LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MANROFFSEQ": ""]) { $1 }
        let (output, errors) = (files.path("output"), files.path("errors"))
        for path in [output, errors] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        man.standardInput = FileHandle.nullDevice
        man.standardOutput = FileHandle(forWritingAtPath: output)
        man.standardError = FileHandle(forWritingAtPath: errors)
        try man.run()
        man.waitUntilExit()
        return (
            try String(contentsOfFile: output, encoding: .utf8), try String(contentsOfFile: errors, encoding: .utf8)
        )
    }
}
