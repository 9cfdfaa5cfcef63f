/// What an upstream says first where its client has had a greeting already: the front greets and leads to TLS itself
/// (`PlainPreface`), and after TLS the client begins anew with its own first command (RFC 3207 section 4.2, RFC 9051
/// section 6.2.1). The upstream's greeting must not come as the answer to that.
///
/// Bytes in, a decision out; no I/O and no clock.
package struct UpstreamGreeting: Sendable {
    package enum Reading: Hashable, Sendable {
        case incomplete
        /// It takes this many bytes, and the upstream is ready for the client.
        case ready(length: Int)
        /// The upstream takes no session. `answer` is what the client is told, in its protocol, before the end.
        case refused(answer: [UInt8], Reason)
    }

    package enum Reason: String, Hashable, Sendable {
        /// 4xx or 5xx, or `* BYE`.
        case saidNo = "the upstream greets with a refusal"
        /// `* PREAUTH`: whoever connects would be somebody's session.
        case preauthenticated =
            "the upstream greets with PREAUTH: every client would have that session; let it ask for a log-in"
        case malformed = "the upstream does not greet as its protocol asks; check that it speaks that of starttls"
        case tooLong = "the upstream's greeting is too long"
        case late = "the upstream does not greet in time"
    }

    /// The most bytes of a greeting, all its lines together.
    package static let lengthLimit = 8192
    /// The longest wait for it. Mail servers make clients wait on purpose, some for half a minute.
    package static let timeLimit = Duration.seconds(60)

    private let kind: PlainPreface.Kind

    /// Nil for a protocol whose server says nothing first.
    package init?(_ kind: PlainPreface.Kind) {
        guard kind != .postgres else { return nil }
        self.kind = kind
    }

    /// Whether more may follow the greeting before the client has said anything: untagged responses of IMAP.
    package var mayGoOn: Bool { kind == .imap }

    /// Looks at everything received so far.
    package func read(_ bytes: [UInt8]) -> Reading {
        let window = bytes.prefix(Self.lengthLimit)
        var start = 0
        var code: Substring?
        while let end = window[start...].firstIndex(of: 0x0A) {
            let content = window[start..<end].last == 0x0D ? window[start..<end].dropLast() : window[start..<end]
            let line = String(decoding: content, as: UTF8.self)
            start = end + 1
            switch kind {
            case .postgres: return refuse(.malformed)
            case .imap: return readIMAP(line, length: start)
            case .smtp:
                // RFC 5321 section 4.2.1: every line begins with the same code, all but the last with a hyphen behind it.
                let digits = line.prefix(3)
                guard digits.utf8.count == 3, digits.utf8.allSatisfy(\.isDigit), code ?? digits == digits else {
                    return refuse(.malformed)
                }
                code = digits
                switch line.utf8.dropFirst(3).first {
                case UInt8(ascii: "-"): continue
                case UInt8(ascii: " "), nil: break
                default: return refuse(.malformed)
                }
                if digits == "220" { return .ready(length: start) }
                guard digits.first == "4" || digits.first == "5" else { return refuse(.malformed) }
                return .refused(answer: Self.printable(window[..<start]), .saidNo)
            }
        }
        return bytes.count < Self.lengthLimit ? .incomplete : refuse(.tooLong)
    }

    private func readIMAP(_ line: String, length: Int) -> Reading {
        let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, words[0] == "*" else { return refuse(.malformed) }
        switch words[1].uppercased() {
        case "OK": return .ready(length: length)
        case "PREAUTH": return refuse(.preauthenticated)
        case "BYE": return .refused(answer: Self.printable(Array(line.utf8)[...]) + [0x0D, 0x0A], .saidNo)
        default: return refuse(.malformed)
        }
    }

    /// The same for every other reason why a client gets no session.
    package func refuse(_ reason: Reason) -> Reading { .refused(answer: kind.unavailable, reason) }

    /// An upstream's words go to the client without anything that is not text, and with the line ends of the protocol.
    private static func printable(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        for byte in bytes where byte != 0x0D {
            if byte == 0x0A {
                text += [0x0D, 0x0A]
            } else {
                text.append(byte < 0x20 || byte == 0x7F ? UInt8(ascii: "?") : byte)
            }
        }
        return text
    }
}

extension PlainPreface.Kind {
    /// What a client is told, after TLS and before the end, that gets no session: RFC 5321 section 3.8, RFC 9051 section
    /// 7.1.5, and PostgreSQL's cannot_connect_now.
    package var unavailable: [UInt8] {
        switch self {
        case .smtp: Array("421 4.3.2 Service not available, closing transmission channel\r\n".utf8)
        case .imap: Array("* BYE Service not available, try again later\r\n".utf8)
        case .postgres: PostgresPreface.error("57P03", "the database cannot be reached; try again later")
        }
    }
}
