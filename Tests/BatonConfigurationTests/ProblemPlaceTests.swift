import Testing

@testable import BatonConfiguration

@Suite("Where a problem of a configuration is")
struct ProblemPlaceTests {
    private func lines(_ file: String, flags: [String: SettingValue] = [:]) -> [String] {
        do {
            _ = try ConfigurationSources(file: file, path: "b.yaml", flags: flags).configuration()
            return []
        } catch { return error.lines }
    }

    private static let file = """
        # A comment.
        workers: 2
        listeners:
          web:
            address: :443
            alpn:
              - http/1.1
          mail:
            address: :25
            starttls: smtp

        """

    struct Fault: Sendable, CustomTestStringConvertible {
        var old: String
        var new: String
        /// How each line begins.
        var told: [String]
        var testDescription: String { new }
    }

    @Test(
        "each is a line of its own, with file, line and key",
        arguments: [
            Fault(
                old: "workers: 2", new: "workers: many", told: ["b.yaml:2: workers: 'many' is not allowed; it must be"]),
            Fault(
                old: "workers: 2", new: "worker: 2",
                told: ["b.yaml:2: worker: there is no such key; the nearest is workers"]),
            Fault(
                old: "    address: :443", new: "    adress: :443",
                told: [
                    "b.yaml:5: listeners.web.adress: there is no such key; the nearest is listeners.web.address",
                    "b.yaml:4: listeners.web.address: is missing",
                ]),
            Fault(old: "http/1.1", new: "h2", told: ["b.yaml:6: listeners.web.alpn: offers h2"]),
            // Both listeners have it; the second is told.
            Fault(old: ":25", new: ":443", told: ["b.yaml:5: listeners.web.address: "]),
            Fault(
                old: "starttls: smtp", new: "peer-name: a.test",
                told: ["b.yaml:10: listeners.mail.peer-name: is of no use"]),
            Fault(
                old: "  mail:", new: "  Mail:",
                told: ["b.yaml:9: listeners.Mail.address: 'Mail' is not a name", "b.yaml:10: "]),
            Fault(old: "workers: 2", new: "workers: [2", told: ["b.yaml:3: the file cannot be read as YAML"]),
            Fault(
                old: "      - http/1.1", new: "      - {a: b}",
                told: ["b.yaml:6: listeners.web.alpn: the file cannot be read"]),
            Fault(old: "workers: 2", new: "workers: 2\n\tx: 1", told: ["b.yaml:3: the file cannot be read as YAML"]),
        ])
    func places(_ fault: Fault) {
        #expect(lines(Self.file) == [])
        #expect(Self.file.contains(fault.old))
        let told = lines(Self.file.replacing(fault.old, with: fault.new))
        #expect(told.count == fault.told.count, "\(told)")
        for (line, start) in zip(told, fault.told) { #expect(line.hasPrefix(start), "\(told)") }
        #expect(told.allSatisfy { !$0.contains("\n") })
    }

    @Test("what a flag says is the flag's, and what is nowhere is the file's")
    func elsewhere() {
        #expect(lines(Self.file, flags: ["workers": .scalar("0")]).first?.hasPrefix("--workers: '0' is not") == true)
        #expect(lines("workers: 2\n") == ["b.yaml: listeners: there is none; set listeners.NAME.address or --listen"])
    }

    @Test("a key that stands twice, and a byte that no YAML has")
    func unreadable() {
        #expect(lines("workers: 2\nworkers: 3\n").first?.contains("'workers' stands twice in one mapping") == true)
        #expect(lines("workers: 2\nuser: a\u{1}\n").first?.hasPrefix("b.yaml:2: the file cannot be read") == true)
    }
}
