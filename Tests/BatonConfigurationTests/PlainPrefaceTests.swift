import BatonConfiguration
import Testing

@Suite("The plain part before TLS")
struct PlainPrefaceTests {
    /// Says `input` in pieces of `size` bytes and returns what was answered and how it ended.
    private func say(
        _ kind: PlainPreface.Kind, _ input: [UInt8], size: Int = .max
    ) -> (reply: [UInt8], next: PlainPreface.Next) {
        var preface = PlainPreface(kind, hostName: "mx.example")
        var reply = preface.greeting
        var rest = input[...]
        var next = PlainPreface.Next.read
        while !rest.isEmpty, next == .read {
            let step = preface.receive(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
            reply += step.reply
            next = step.next
        }
        return (reply, next)
    }

    private func lines(_ kind: PlainPreface.Kind, _ input: String, size: Int = .max) -> (
        text: String, next: PlainPreface.Next
    ) {
        let (reply, next) = say(kind, input.utf8Array, size: size)
        return (String(decoding: reply, as: UTF8.self), next)
    }

    @Test("SMTP: EHLO and STARTTLS lead to TLS, in any pieces", arguments: [1, 2, 7, 1000])
    func smtp(size: Int) {
        let (text, next) = lines(.smtp, "EHLO client\r\nSTARTTLS\r\n", size: size)
        #expect(
            text == """
                220 mx.example ESMTP\r
                250-mx.example\r
                250-ENHANCEDSTATUSCODES\r
                250 STARTTLS\r
                220 2.0.0 Ready to start TLS\r\n
                """)
        #expect(next == .beginTLS([]))
    }

    @Test(
        "SMTP: nothing else is served",
        arguments: [
            ("MAIL FROM:<a@b>", "530"), ("rcpt to:<a@b>", "530"), ("AUTH PLAIN AGEAYg==", "530"), ("DATA", "530"),
            ("RSET", "530"), ("STARTTLS", "503"), ("STARTTLS now", "501"), ("EHLO", "501"), ("HELO x", "250"),
            ("NOOP", "250"), ("XYZZY", "502"), ("", "502"), ("GET / HTTP/1.1", "502"), ("\u{e9}HLO x", "502"),
        ])
    func smtpOther(line: String, code: String) {
        let (text, next) = lines(.smtp, line + "\r\n")
        let answer = text.split(separator: "\r\n").dropFirst().first ?? ""
        #expect(answer.hasPrefix(code + " ") && next == .read, "\(text)")
    }

    @Test("IMAP: CAPABILITY and STARTTLS lead to TLS, in any pieces", arguments: [1, 3, 1000])
    func imap(size: Int) {
        let (text, next) = lines(.imap, "a1 capability\r\na2 NOOP\r\na3 STARTTLS\r\n", size: size)
        #expect(
            text == """
                * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] mx.example ready\r
                * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r
                a1 OK CAPABILITY completed\r
                a2 OK NOOP completed\r
                a3 OK Begin TLS negotiation now\r\n
                """)
        #expect(next == .beginTLS([]))
    }

    @Test(
        "IMAP: nothing else is served, and a bad tag is not sent back",
        arguments: [
            ("a LOGIN u p", "a NO [PRIVACYREQUIRED]"), ("a AUTHENTICATE PLAIN", "a NO [PRIVACYREQUIRED]"),
            ("a SELECT INBOX", "a BAD"), ("a STARTTLS x", "a BAD"), ("a", "a BAD"), ("a ", "a BAD"), ("", "* BAD"),
            ("a+ NOOP", "* BAD"), ("* NOOP", "* BAD"), ("\u{1b}[0m NOOP", "* BAD"), (" NOOP", "* BAD"),
            (String(repeating: "t", count: 65) + " NOOP", "* BAD"),
        ])
    func imapOther(line: String, answer: String) {
        let (text, next) = lines(.imap, line + "\r\n")
        #expect((text.split(separator: "\r\n").dropFirst().first ?? "").hasPrefix(answer) && next == .read, "\(text)")
    }

    @Test("QUIT and LOGOUT end it politely")
    func quit() {
        #expect(lines(.smtp, "QUIT\r\n").text.hasSuffix("221 2.0.0 Bye\r\n"))
        #expect(lines(.smtp, "QUIT\r\n").next == .close(.quit))
        #expect(lines(.imap, "x LOGOUT\r\n").text.hasSuffix("* BYE Logging out\r\nx OK LOGOUT completed\r\n"))
        #expect(lines(.imap, "x LOGOUT\r\n").next == .close(.quit))
    }

    @Test("what comes behind STARTTLS in the same read ends the connection, and the invitation is not sent")
    func injection() {
        for (kind, input) in [
            (PlainPreface.Kind.smtp, "EHLO x\r\nSTARTTLS\r\nMAIL FROM:<evil>\r\n"),
            (.smtp, "EHLO x\r\nSTARTTLS\r\n\u{16}"),
            (.imap, "a STARTTLS\r\nb LOGIN u p\r\n"),
        ] {
            let (text, next) = lines(kind, input)
            #expect(next == .close(.pipelinedPlaintext))
            #expect(!text.contains("Ready to start TLS") && !text.contains("Begin TLS"))
        }
        let request = postgres(80_877_103)
        let (reply, next) = say(.postgres, request + [1])
        #expect(reply.isEmpty && next == .close(.pipelinedPlaintext))
        let gss = say(.postgres, postgres(80_877_104) + request)
        #expect(gss.reply.isEmpty && gss.next == .close(.pipelinedPlaintext))
    }

    @Test(
        "a line ends with CR LF only, and has no CR or NUL within",
        arguments: ["EHLO x\n", "EHLO\rx\r\n", "EHLO \0\r\n", "\n"])
    func lineEnds(text: String) {
        #expect(lines(.smtp, text).next == .close(.malformed))
        #expect(lines(.imap, text).next == .close(.malformed))
    }

    @Test("a line of 512 bytes is taken, a longer one is not, ended or not", arguments: [1, 100, 10_000])
    func lineLimit(size: Int) {
        let fits = "NOOP " + String(repeating: "x", count: 505) + "\r\n"
        #expect(lines(.smtp, fits, size: size).next == .read)
        #expect(lines(.smtp, "x" + fits, size: size).next == .close(.tooLong))
        #expect(lines(.smtp, String(repeating: "x", count: 512), size: size).next == .close(.tooLong))
    }

    @Test("all lines together have a limit")
    func totalLimit() {
        let (_, next) = lines(.smtp, String(repeating: "NOOP\r\n", count: 5000), size: 6)
        #expect(next == .close(.tooLong))
        let (_, imap) = lines(.imap, String(repeating: "a NOOP\r\n", count: 5000))
        #expect(imap == .close(.tooLong))
    }

    @Test("nothing follows the end")
    func afterEnd() {
        var preface = PlainPreface(.smtp, hostName: "mx.example")
        #expect(preface.receive("QUIT\r\n".utf8Array).next == .close(.quit))
        let step = preface.receive("EHLO x\r\n".utf8Array)
        #expect(step.reply.isEmpty && step.next == .close(.malformed))
    }

    @Test("a host name that is none cannot write lines of its own")
    func hostName() {
        let preface = PlainPreface(.smtp, hostName: "a\r\n250 x")
        #expect(String(decoding: preface.greeting, as: UTF8.self) == "220 localhost ESMTP\r\n")
    }

    private func postgres(_ code: UInt32, body: [UInt8] = [], length: UInt32? = nil) -> [UInt8] {
        func word(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
        return word(length ?? UInt32(8 + body.count)) + word(code) + body
    }

    @Test("PostgreSQL: SSLRequest is answered with S, in any pieces", arguments: [1, 3, 8])
    func sslRequest(size: Int) {
        let (reply, next) = say(.postgres, postgres(80_877_103), size: size)
        #expect(reply == [UInt8(ascii: "S")] && next == .beginTLS([]))
    }

    @Test("PostgreSQL: GSSENCRequest is answered with N, once, and SSLRequest may follow")
    func gss() {
        let (reply, next) = say(.postgres, postgres(80_877_104) + postgres(80_877_103), size: 8)
        #expect(reply == "NS".utf8Array && next == .beginTLS([]))
        let (again, end) = say(.postgres, postgres(80_877_104) + postgres(80_877_104), size: 8)
        #expect(again == "N".utf8Array && end == .close(.malformed))
    }

    @Test("PostgreSQL: a ClientHello at once is handed on whole")
    func direct() {
        let hello: [UInt8] = [0x16, 3, 1, 0, 5, 1, 0, 0, 1]
        #expect(say(.postgres, hello).next == .beginTLS(hello))
        #expect(say(.postgres, hello, size: 1).next == .beginTLS([0x16]))
    }

    @Test("PostgreSQL: a start without TLS gets an ErrorResponse whose length is right")
    func plainStart() {
        let (reply, next) = say(.postgres, postgres(196_608, body: Array("user\0me\0\0".utf8)))
        #expect(next == .close(.refused))
        #expect(reply.first == UInt8(ascii: "E"))
        #expect(reply.count > 5 && reply[1...4].reduce(0) { $0 << 8 | Int($1) } == reply.count - 1)
        let fields = reply.dropFirst(5).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        #expect(fields.prefix(3) == ["SFATAL", "VFATAL", "C28000"] && reply.suffix(2) == [0, 0])
    }

    @Test(
        "PostgreSQL: a CancelRequest is given on as it is, in any pieces, and nothing with it", arguments: [1, 8, 300])
    func cancel(size: Int) {
        for count in [8, 36, 260] {
            let request = postgres(80_877_102, body: [UInt8](repeating: 1, count: count))
            let (reply, next) = say(.postgres, request, size: size)
            #expect(reply.isEmpty && next == .forward(request))
        }
        let request = postgres(80_877_102, body: [UInt8](repeating: 1, count: 8))
        #expect(say(.postgres, request + postgres(196_608)).next == .close(.pipelinedPlaintext))
        for count in [0, 7, 261] {
            #expect(
                say(.postgres, postgres(80_877_102, body: [UInt8](repeating: 1, count: count))).next
                    == .close(.malformed))
        }
    }

    @Test("PostgreSQL: nonsense gets no patience")
    func refused() {
        for length in [0, 4, 7, 10_001, .max] as [UInt32] {
            #expect(say(.postgres, postgres(80_877_103, length: length)).next == .close(.malformed))
        }
        #expect(say(.postgres, postgres(80_877_103, length: 9)).next == .close(.malformed))
        #expect(say(.postgres, postgres(1)).next == .close(.malformed))
        #expect(say(.postgres, "GET / HTTP/1.1\r\n".utf8Array).next == .close(.malformed))
    }
}
