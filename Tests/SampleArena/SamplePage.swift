package import SessionEngine

/// An endless stream of requests, of many forms, and the answers of a page to it: each is known by its position.
package enum SamplePage {
    private static let forms: [(line: String, fields: String, end: String)] = [
        ("GET / HTTP/1.1", "Host: a", "\r\n"), ("HEAD /b HTTP/1.1", "connection: keep-alive", "\n"),
        ("GET /c HTTP/1.0", "Connection: Keep-Alive", "\r\n"), ("PUT /d HTTP/1.1", "Content-Length: 0", "\r\n"),
        ("GET /e HTTP/1.1", "x-close: close", "\n"), ("\r\nGET /f HTTP/1.1", "Connections: close", "\r\n"),
        ("GETS /g HTTP/1.1", "Content-Lengths: 5", "\r\n"), ("HEAD /h HTTP/1.0", "Connection: TE,keep-alive", "\r\n"),
    ]
    private static let lengths = [520, 530, 700, 600, 1_500]

    /// Requests and their answers. None is so short that a record holds more than 32.
    private static let exchanges: [(request: [UInt8], answer: [UInt8])] = (0..<40).map { number in
        let (form, length) = (forms[number % forms.count], lengths[number % lengths.count])
        var head = form.line + form.end + form.fields + form.end + "Pad: "
        head += String(repeating: "p", count: length - head.utf8.count - 2 * form.end.utf8.count) + form.end
        var scanner = RequestScanner()
        let request = Array((head + form.end).utf8)
        let finding = request.withUnsafeBytes { scanner.next(in: $0, limit: request.count + 1) }.finding!
        return (request, respond(PageQuestion(finding: finding, isLast: false, note: [], handovers: 0)))
    }

    package static let requests = Cycle(exchanges.map(\.request))
    package static let answers = Cycle(exchanges.map(\.answer))

    /// How many bytes of answers so many bytes of requests ask for.
    package static func answered(_ sent: UInt64) -> UInt64 {
        let (rounds, rest) = sent.quotientAndRemainder(dividingBy: UInt64(requests.period))
        var (left, answered) = (Int(rest), rounds * UInt64(answers.period))
        for exchange in exchanges {
            guard left >= exchange.request.count else { break }
            left -= exchange.request.count
            answered += UInt64(exchange.answer.count)
        }
        return answered
    }

    /// Says what it was asked, in a length that depends on that.
    package static let respond: PageResponder = { question in
        let (text, count) =
            switch question.finding {
            case .request(let request):
                switch request.method {
                case .get: ("get\(request.isHTTP10 ? 0 : 1)", 900)
                case .head: ("head\(request.isHTTP10 ? 0 : 1)", 110)
                case .other: ("other", 401)
                }
            case .notHTTP: ("notHTTP", 50)
            case .tooLong: ("tooLong", 50)
            }
        let line = "\(text) \(question.isLast ? "last" : "more") "
        return Array((line + String(repeating: "a", count: count - line.utf8.count - 1) + "\n").utf8)
    }

    /// Bytes that come again and again.
    package struct Cycle: Sendable {
        package let period: Int
        private let bytes: [UInt8]

        fileprivate init(_ parts: [[UInt8]]) {
            let once = Array(parts.joined())
            period = once.count
            bytes = Array(repeatElement(once, count: 65_536 / once.count + 2).joined())
        }

        /// At most 65,536 bytes from a position on.
        package func from(_ position: UInt64, _ count: Int) -> ArraySlice<UInt8> {
            let first = Int(position % UInt64(period))
            return bytes[first..<first + count]
        }
    }
}
