/// The commands that an IMAP server answers before TLS (RFC 9051 section 6.1 and 6.2.1). Log-in is disabled, as
/// section 6.2.3 wants it of a server that has no use for a password in the clear.
struct IMAPPreface: Sendable {
    let hostName: String

    private static let capabilities = "CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED"

    var greeting: [UInt8] { Array("* OK [\(Self.capabilities)] \(hostName) ready\r\n".utf8) }

    /// Answers one line, given without its CR LF.
    func answer(_ line: ArraySlice<UInt8>) -> PlainPreface.Step {
        let (tagBytes, rest) = line.splitAtBlank()
        guard let tag = Self.tag(tagBytes) else { return .reply("* BAD Invalid tag") }
        guard let rest else { return .reply("\(tag) BAD Command missing") }
        let (verb, argument) = rest.splitAtBlank()
        guard let command = verb.keyword else { return .reply("\(tag) BAD Invalid command") }
        switch command {
        case "CAPABILITY", "NOOP", "LOGOUT", "STARTTLS":
            guard argument == nil else { return .reply("\(tag) BAD \(command) takes no arguments") }
        case "LOGIN", "AUTHENTICATE":
            return .reply("\(tag) NO [PRIVACYREQUIRED] Use STARTTLS first")
        default: return .reply("\(tag) BAD Use STARTTLS first")
        }
        switch command {
        case "CAPABILITY": return .reply("* \(Self.capabilities)\r\n\(tag) OK CAPABILITY completed")
        case "LOGOUT": return .reply("* BYE Logging out\r\n\(tag) OK LOGOUT completed", then: .close(.quit))
        case "STARTTLS": return .reply("\(tag) OK Begin TLS negotiation now", then: .beginTLS([]))
        default: return .reply("\(tag) OK NOOP completed")
        }
    }

    /// A tag (RFC 9051 section 9, `tag`): it is sent back, so nothing but its own characters may be in it.
    private static func tag(_ bytes: ArraySlice<UInt8>) -> String? {
        let excluded = Set("(){%*\"\\+".utf8)
        guard 1...64 ~= bytes.count, bytes.allSatisfy({ 0x21...0x7E ~= $0 && !excluded.contains($0) }) else {
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
