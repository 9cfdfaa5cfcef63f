import Testing

@testable import BatonConfiguration

@Suite("The greeting of an upstream whose client has had one")
struct UpstreamGreetingTests {
    private func read(_ kind: PlainPreface.Kind, _ text: String) -> UpstreamGreeting.Reading? {
        UpstreamGreeting(kind)?.read(Array(text.utf8))
    }

    @Test(
        "is taken off whole, at every split",
        arguments: [
            (.smtp, "220 mx.example ESMTP Postfix\r\n"), (.smtp, "220-mx.example\r\n220-No spam.\r\n220 Go on\r\n"),
            (.smtp, "220\r\n"), (.smtp, "220-a\n220 b\n"), (.imap, "* OK [CAPABILITY IMAP4rev1] ready\r\n"),
            (.imap, "* ok\r\n"),
        ] as [(PlainPreface.Kind, String)])
    func ready(kind: PlainPreface.Kind, text: String) throws {
        let greeting = try #require(UpstreamGreeting(kind))
        let bytes = Array(text.utf8)
        for n in 0..<bytes.count { #expect(greeting.read(Array(bytes[..<n])) == .incomplete) }
        #expect(greeting.read(bytes + Array("more".utf8)) == .ready(length: bytes.count))
    }

    @Test("a refusal goes to the client in the upstream's words, which are made text")
    func refusal() {
        let text = "554-mx.example\r\n554 5.7.1 \u{1B}[31mGo away\n"
        let said = Array("554-mx.example\r\n554 5.7.1 ?[31mGo away\r\n".utf8)
        #expect(read(.smtp, text) == .refused(answer: said, .saidNo))
        let bye = Array("* BYE full\r\n".utf8)
        #expect(read(.imap, "* BYE full\r\n") == .refused(answer: bye, .saidNo))
    }

    @Test(
        "nothing else is a greeting",
        arguments: [
            (.smtp, "250 ok\r\n"), (.smtp, "220-a\r\n221 b\r\n"), (.smtp, "* OK ready\r\n"), (.smtp, "\r\n"),
            (.smtp, "2200 a\r\n"), (.imap, "220 a\r\n"), (.imap, "a OK b\r\n"), (.imap, "* \r\n"), (.imap, "*\r\n"),
        ] as [(PlainPreface.Kind, String)])
    func malformed(kind: PlainPreface.Kind, text: String) {
        #expect(read(kind, text) == .refused(answer: kind.unavailable, .malformed))
    }

    @Test("a mailbox that is open to whoever connects is nobody's")
    func preauthenticated() {
        #expect(
            read(.imap, "* PREAUTH hello root\r\n")
                == .refused(answer: PlainPreface.Kind.imap.unavailable, .preauthenticated))
    }

    @Test("one without an end is bounded, and PostgreSQL has none", arguments: [.smtp, .imap] as [PlainPreface.Kind])
    func bounded(kind: PlainPreface.Kind) {
        let lines = kind == .smtp ? String(repeating: "220-a\r\n", count: 2000) : String(repeating: "*", count: 9000)
        #expect(read(kind, lines) == .refused(answer: kind.unavailable, .tooLong))
        #expect(UpstreamGreeting(.postgres) == nil)
    }

    @Test("what a PostgreSQL client is told is an ErrorResponse of the right length")
    func postgres() {
        let bytes = PlainPreface.Kind.postgres.unavailable
        #expect(bytes[0] == UInt8(ascii: "E") && Int(bytes[4]) == bytes.count - 1 && bytes.suffix(2) == [0, 0])
    }
}
