/// The commands that an SMTP server answers before TLS: RFC 3207 section 4 names EHLO, NOOP, QUIT and STARTTLS, and
/// asks for 530 on the others.
struct SMTPPreface: Sendable {
    let hostName: String
    private var isGreeted = false

    init(hostName: String) {
        self.hostName = hostName
    }

    var greeting: [UInt8] { Array("220 \(hostName) ESMTP\r\n".utf8) }

    /// Answers one line, given without its CR LF.
    mutating func answer(_ line: ArraySlice<UInt8>) -> PlainPreface.Step {
        let (verb, argument) = line.splitAtBlank()
        switch verb.keyword {
        case "EHLO":
            guard argument?.isEmpty == false else { return .reply("501 5.5.4 Syntax: EHLO hostname") }
            isGreeted = true
            return .reply("250-\(hostName)\r\n250-ENHANCEDSTATUSCODES\r\n250 STARTTLS")
        case "HELO":
            guard argument?.isEmpty == false else { return .reply("501 5.5.4 Syntax: HELO hostname") }
            isGreeted = true
            return .reply("250 \(hostName)")
        case "STARTTLS":
            guard argument == nil else { return .reply("501 5.5.4 Syntax error (no parameters allowed)") }
            guard isGreeted else { return .reply("503 5.5.1 Send EHLO first") }
            return .reply("220 2.0.0 Ready to start TLS", then: .beginTLS([]))
        case "NOOP": return .reply("250 2.0.0 OK")
        case "QUIT": return .reply("221 2.0.0 Bye", then: .close(.quit))
        case "MAIL", "RCPT", "DATA", "BDAT", "RSET", "VRFY", "EXPN", "HELP", "AUTH", "ETRN":
            return .reply("530 5.7.0 Must issue a STARTTLS command first")
        default: return .reply("502 5.5.2 Command not recognized")
        }
    }
}
