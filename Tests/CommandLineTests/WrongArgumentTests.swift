import StockPeers
import Testing

/// What is wrong with the arguments is said in one line, with exit status 2.
@Suite("baton refuses wrong arguments", .serialized)
struct WrongArgumentTests {
    struct Mistake: Sendable, CustomTestStringConvertible {
        var arguments: [String]
        /// What the line has to name: the culprit, and what would be right.
        var words: [String]
        var testDescription: String { arguments.joined(separator: " ") }
    }

    @Test(
        "in one line that says what to do",
        arguments: [
            Mistake(arguments: ["demo", "--cipher", "rc4"], words: ["rc4", "aes-128-gcm", "chacha20-poly1305"]),
            Mistake(arguments: ["demo", "--tls", "1.1"], words: ["1.1", "1.2", "1.3"]),
            Mistake(arguments: ["demo", "--moves", "0"], words: ["--moves", "1 to 1000000"]),
            Mistake(arguments: ["demo", "--moves", "-3"], words: ["--moves"]),
            Mistake(arguments: ["demo", "--moves", "many"], words: ["many", "--moves"]),
            Mistake(arguments: ["demo", "--bytes", "1X"], words: ["1X", "--bytes", "K, M or G"]),
            Mistake(arguments: ["demo", "--bytes", "0"], words: ["--bytes"]),
            Mistake(arguments: ["demo", "--bytes", "9999999999G"], words: ["--bytes"]),
            Mistake(arguments: ["demo", "--bytes", "8589934591G"], words: ["--bytes"]),
            Mistake(arguments: ["demo", "--peer", "netcat"], words: ["netcat", "openssl", "gnutls"]),
            Mistake(arguments: ["demo", "--speed", "9"], words: ["--speed"]),
            Mistake(arguments: ["demo", "more"], words: ["more"]),
            Mistake(arguments: ["demo", "--cipher"], words: ["--cipher"]),
            Mistake(arguments: ["dmeo"], words: ["dmeo"]),
        ])
    func mistake(_ mistake: Mistake) throws {
        let result = try Command(mistake.arguments).run()
        #expect(result.status == 2)
        #expect(result.output.isEmpty)
        #expect(result.complaints.count == 1, "\(result.errors)")
        for word in mistake.words { #expect(result.errors.contains(word), "\(result.errors)") }
    }

    @Test("but explains itself when asked to", arguments: [["--help"], ["demo", "--help"], ["--version"]])
    func help(_ arguments: [String]) throws {
        let result = try Command(arguments).run()
        #expect(result.status == 0)
        #expect(result.errors.isEmpty)
        #expect(!result.output.isEmpty)
    }

    @Test("and says so when the peer's program is missing", arguments: ["openssl", "gnutls"])
    func missingPeer(_ peer: String) throws {
        let command = try Command(["demo", "--peer", peer], path: "/nonexistent")
        let result = try command.run()
        #expect(result.status == 1)
        #expect(result.output.isEmpty)
        #expect(result.complaints.count == 1, "\(result.errors)")
        #expect(result.errors.contains("make demo"))
        #expect(try command.leftovers().isEmpty)
        #expect(try ChildProcesses.using(command.folder).isEmpty)
    }
}
