import BatonConfiguration
import SessionEngine
import Testing

@Suite("A request scanner")
struct RequestScannerTests {
    typealias Finding = RequestScanner.Finding
    typealias Request = RequestScanner.Request

    /// xorshift64*: the same inputs on every run.
    private struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return state &* 0x2545_F491_4F6C_DD1D
        }
    }

    /// What is found in a stream that comes in these pieces, each with where it ends.
    private static func findings(_ pieces: [[UInt8]], limit: Int) -> [Found] {
        var scanner = RequestScanner()
        var found: [Found] = []
        var position = 0
        for piece in pieces {
            var rest = piece[...]
            while !rest.isEmpty {
                let (finding, count) = rest.withUnsafeBytes { scanner.next(in: $0, limit: limit) }
                rest = rest.dropFirst(count)
                position += count
                guard let finding else { break }
                found.append(Found(finding: finding, end: position))
                guard case .request = finding else { return found }
            }
            // Nothing but these bytes goes from one owner to the next.
            guard let next = RequestScanner(scanner.encoded), next == scanner else { return [] }
            scanner = next
        }
        return found
    }

    private struct Found: Equatable {
        var finding: Finding
        var end: Int
    }

    /// The same of the whole, by what reads heads before they are routed, and one line of a head after the other.
    private static func expected(_ bytes: [UInt8], limit: Int) -> [Found] {
        var found: [Found] = []
        var start = 0
        while start < bytes.count {
            let rest = Array(bytes[start...])
            switch RequestHead.read(rest.span.bytes, limit: limit) {
            case .incomplete: return found
            case .notHTTP:
                // It is none from the first byte on that makes it so.
                let end = (1...rest.count).first {
                    RequestHead.read(Array(rest[..<$0]).span.bytes, limit: limit) == .notHTTP
                }
                return found + [Found(finding: .notHTTP, end: start + end!)]
            case .tooLong: return found + [Found(finding: .tooLong, end: start + limit)]
            case .head(let head):
                guard let length = head.length else { return found }
                start += length
                found.append(Found(finding: .request(request(head, rest[..<length])), end: start))
            }
        }
        return found
    }

    private static func request(_ head: RequestHead, _ bytes: ArraySlice<UInt8>) -> Request {
        var request = Request(
            method: head.line.method == "GET" ? .get : head.line.method == "HEAD" ? .head : .other,
            isHTTP10: head.line.minorVersion == 0, hasBody: false, asksToClose: false, asksToKeep: false)
        for line in bytes.split(separator: 10, omittingEmptySubsequences: false) {
            let ascii = line.map { 65...90 ~= $0 ? $0 + 32 : $0 < 128 ? $0 : 63 }
            let text = String(decoding: ascii, as: UTF8.self)
            let value = text.unicodeScalars.drop { $0 != ":" }.dropFirst()
            if text.unicodeScalars.starts(with: "transfer-encoding:".unicodeScalars) { request.hasBody = true }
            if text.unicodeScalars.starts(with: "content-length:".unicodeScalars) {
                var digits = String.UnicodeScalarView(value)
                if digits.last == "\r" { digits.removeLast() }
                let number = digits.split { $0 == " " || $0 == "\t" }
                if number.count != 1 || !number[0].allSatisfy({ $0 == "0" }) { request.hasBody = true }
            }
            if text.unicodeScalars.starts(with: "connection:".unicodeScalars) {
                for option in value.split(whereSeparator: { " \t\r,".unicodeScalars.contains($0) }) {
                    if String(option) == "close" { request.asksToClose = true }
                    if String(option) == "keep-alive" { request.asksToKeep = true }
                }
            }
        }
        return request
    }

    private static let streams = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /b?c HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
        "\r\n\n\r\nGET /x HTTP/1.1\nhost: y\nCONNECTION: TE,close ,x\n\nrest",
        "POST /p HTTP/1.1\r\nContent-Length: 12\r\n\r\nGET / HTTP/1.1\r\ncontent-length:\t 00 \r\n\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 0 0\r\n\r\nGET / HTTP/1.1\r\nContent-Length:\r\n\r\n",
        "GET / HTTP/1.1\r\nConnections: close\r\nxConnection: close\r\nConnection : close\r\nConnection: closed\r\n\r\n",
        "PRI * HTTP/1.1\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.1\r\n\r\n", "PRI ** HTTP/2.0\r\n\r\n",
        "GETX / HTTP/1.9\r\n\r\n GET / HTTP/1.1\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.\n\n", "GET / HTTP/1.1 \r\n\r\n", "GET / HTTP/1.1\r\r\n", "\rGET / HTTP/1.1\r\n\r\n",
        "G\u{e9}T / HTTP/1.1\r\n\r\n", "GET /\u{e9} HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\0\u{1}",
        "ABCDEFGHIJABCDEFGHIJABCDEFGHIJAB / HTTP/1.1\r\n\r\n", "ABCDEFGHIJABCDEFGHIJABCDEFGHIJABC / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\na: b\r\n\rx\r\n\r\r\n\r\n", "GET / HTTP/1.1\r\n: close\r\nconnection:close\r\n\r\n",
    ].map { Array($0.utf8) }

    @Test("finds in any two pieces what is found in the whole, whatever the limit")
    func cuts() {
        for stream in Self.streams {
            for limit in [16, 17, 25, 40, 41, 60, 1_000] {
                let expected = Self.expected(stream, limit: limit)
                for cut in 0...stream.count {
                    let found = Self.findings([Array(stream[..<cut]), Array(stream[cut...])], limit: limit)
                    #expect(found == expected, "\(stream) cut at \(cut), limit \(limit)")
                    guard found == expected else { return }
                }
                #expect(Self.findings(stream.map { [$0] }, limit: limit) == expected)
            }
        }
    }

    @Test("finds in any stream, however broken and cut, what is found in the whole")
    func random() {
        var random = Random(state: 0x9E37_79B9_7F4A_7C15)
        let pieces = [
            "GET", "HEAD", "PRI", " ", "  ", "/", "*", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/", "\r\n", "\n", "\r",
            ":",
            "Connection: close", "connection: keep-alive", "Content-Length: 0", "content-length: 5",
            "transfer-encoding:",
            "x: y", ",", "0", "\t", "close", "\r\n\r\n", "GET / HTTP/1.1\r\n", "\u{e9}", "A",
        ].map { Array($0.utf8) }
        var whole = 0
        for _ in 0..<30_000 {
            var stream: [UInt8] = []
            if Bool.random(using: &random) { stream = Self.streams.randomElement(using: &random)! }
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                let at = Bool.random(using: &random) ? stream.count : Int.random(in: 0...stream.count, using: &random)
                switch Int.random(in: 0..<8, using: &random) {
                case 0 where at < stream.count: stream[at] = .random(in: 0...255, using: &random)
                case 1 where at < stream.count: stream.remove(at: at)
                default: stream.insert(contentsOf: pieces.randomElement(using: &random)!, at: at)
                }
            }
            let limit = [20, 50, 100, 10_000].randomElement(using: &random)!
            let expected = Self.expected(stream, limit: limit)
            var cut: [[UInt8]] = []
            var rest = stream[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...20, using: &random))
                cut.append(Array(piece))
                rest = rest.dropFirst(piece.count)
            }
            let found = Self.findings(cut, limit: limit)
            #expect(found == expected, "\(stream) limit \(limit)")
            guard found == expected else { return }
            whole += found.count
        }
        #expect(whole > 5_000)
    }

    @Test("knows which answers are the last")
    func last() {
        func isLast(_ text: String) -> Bool? {
            guard case .request(let request)? = Self.findings([Array(text.utf8)], limit: 1_000).first?.finding else {
                return nil
            }
            return request.isLast
        }
        #expect(isLast("GET / HTTP/1.1\r\n\r\n") == false)
        #expect(isLast("GET / HTTP/1.0\r\n\r\n") == true)
        #expect(isLast("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") == false)
        #expect(isLast("GET / HTTP/1.1\r\nConnection: keep-alive, close\r\n\r\n") == true)
        #expect(isLast("GET / HTTP/1.1\nConnection: CLOSE\n\n") == true)
        #expect(isLast("GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n") == true)
        #expect(isLast("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n") == true)
        #expect(isLast("GET / HTTP/1.1\r\n") == nil)
    }

    @Test("takes any eight bytes for its own or refuses them, and goes on with them without a trap")
    func anyState() {
        var random = Random(state: 7)
        var taken = 0
        for _ in 0..<200_000 {
            var bytes = (0..<8).map { _ in UInt8.random(in: 0...20, using: &random) }
            bytes[4] = 0
            if Bool.random(using: &random) {
                bytes[Int.random(in: 0..<8, using: &random)] = .random(in: 0...255, using: &random)
            }
            guard var scanner = RequestScanner(bytes) else { continue }
            taken += 1
            #expect(scanner.encoded == bytes)
            let input = Self.streams.randomElement(using: &random)!
            switch input.withUnsafeBytes({ scanner.next(in: $0, limit: 1_000) }).finding {
            case nil, .request: #expect(RequestScanner(scanner.encoded) == scanner)
            case .notHTTP, .tooLong: break
            }
        }
        #expect(taken > 1_000)
        #expect(RequestScanner([UInt8](repeating: 0, count: 8)) == RequestScanner())
        #expect(RequestScanner([]) == nil)
        #expect(RequestScanner([UInt8](repeating: 255, count: 8)) == nil)
    }
}
