import Testing

@testable import BatonConfiguration

@Suite("What a shell offers for baton serve")
struct FlagCompletionTests {
    private static let file =
        "listeners: { web: { address: \":443\" } }\nupstreams: { app: { addresses: [\"a:1\"] } }\n"

    @Test(
        "keys in steps, names that there are, and values that can be counted",
        arguments: [
            (["--li"], ["--listen", "--limits.connections", "--listeners."]),
            (["--listeners."], ["--listeners.default.", "--listeners.web."]),
            (["--listeners.web.ro"], ["--listeners.web.role"]),
            (["--listeners.web.role", ""], ["server", "client", "detect"]),
            (["--listeners.web.starttls", ""], ["smtp", "imap", "postgres", "off"]),
            (["--listeners.web.tls-versions", "1"], ["1.2", "1.3"]),
            (["--listeners.web.tls", "t"], ["true"]),
            (["--routes.x.target", "a"], ["app"]),
            (["--routes.x.listeners", ""], ["web"]),
            (["--certificates.own.chain", "c.pem", "--listeners.web.certificates", ""], ["own"]),
            (["--upstream", ""], ["echo", "hello"]),
            (["--config", ""], []), (["--certificates.own.chain", "/et"], []), (["--no.such", ""], []), ([], []),
            (["--listeners.WRONG.ro"], ["--listeners.WRONG.role"]),
        ] as [([String], [String])])
    func candidates(words: [String], expected: [String]) {
        let found = FlagCompletion.candidates(for: words, file: Self.file)
        #expect(words == ["--li"] ? expected.allSatisfy(found.contains) : found == expected)
    }

    @Test("every key there is, and a file that cannot be read costs its names only")
    func all() {
        for group in SettingGroup.all {
            let section = group.prefix.map { "--\($0).default." } ?? "--"
            let found = FlagCompletion.candidates(for: [section], file: "[")
            for row in group.rows { #expect(found.contains(section + row.key)) }
        }
    }

    @Test("every word that is offered for a value is one that the setting takes")
    func words() {
        for group in SettingGroup.all {
            for row in group.rows {
                for word in row.words {
                    var configuration = Configuration()
                    let faults = group.apply("x", [row.key: .scalar(word)], &configuration)
                    #expect(faults.allSatisfy { $0.value == nil }, "\(row.key) \(word)")
                }
            }
        }
    }
}
