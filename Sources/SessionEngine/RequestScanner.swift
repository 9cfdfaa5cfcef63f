/// Finds where the heads of HTTP/1 requests end in a stream of bytes that comes in any pieces (RFC 9112 section 2).
///
/// It keeps none of the bytes: what it knows of a head whose end has not come are eight bytes, which a slot of the arena has
/// room for. It is no HTTP parser. Of the request line it knows method and version, and of the fields those two that say
/// whether a body follows, and `Connection`. A line may end in a bare LF, and empty lines may come before a request (section 2.2).
package struct RequestScanner: Sendable, Equatable {
    private var phase = Phase.start
    /// Bytes of the part that `phase` names, as far as they matter.
    private var progress: UInt8 = 0
    /// Which of the words that are looked for the part may still be.
    private var candidates: UInt8 = 0
    private var facts: UInt8 = 0
    /// Bytes of the head so far, with the empty lines before it.
    private var count: UInt32 = 0

    private enum Phase: UInt8 {
        case start, startCR
        case method, target, version, lineEnd, lineEndCR
        case fieldStart, fieldStartCR, name, otherValue, length, options
    }

    /// What a head or the beginning of one has turned out to be.
    package enum Finding: Sendable, Equatable {
        /// A head is whole.
        case request(Request)
        /// This is no HTTP/1 request.
        case notHTTP
        /// A head does not end within the limit.
        case tooLong
    }

    /// What there is to know of a request.
    package struct Request: Sendable, Equatable {
        package enum Method: Sendable, Equatable { case get, head, other }

        package var method: Method
        /// The version is HTTP/1.0.
        package var isHTTP10: Bool
        /// A body follows, or there may be one.
        package var hasBody: Bool
        /// `Connection: close`
        package var asksToClose: Bool
        /// `Connection: keep-alive`
        package var asksToKeep: Bool

        package init(method: Method, isHTTP10: Bool, hasBody: Bool, asksToClose: Bool, asksToKeep: Bool) {
            self.method = method
            self.isHTTP10 = isHTTP10
            self.hasBody = hasBody
            self.asksToClose = asksToClose
            self.asksToKeep = asksToKeep
        }

        /// Whether the connection ends with the answer (RFC 9112 section 9.3). What follows a body cannot be told from it.
        package var isLast: Bool { hasBody || asksToClose || isHTTP10 && !asksToKeep }
    }

    package init() {}

    /// Whether nothing has come of a next request.
    package var isAtStart: Bool { self == RequestScanner() }

    /// Goes on with the bytes that have come next.
    ///
    /// - Parameter limit: the most bytes that a head may take, with the empty lines before it.
    /// - Returns: what has been found first, and how many of the bytes belong to that. If nothing has, all bytes belong to a head
    ///   whose end has not come. After a request the next one is looked for; after anything else the stream is of no use.
    package mutating func next(in bytes: UnsafeRawBufferPointer, limit: Int) -> (finding: Finding?, count: Int) {
        for (index, byte) in bytes.enumerated() {
            count &+= 1
            if let finding = take(byte) { return (finding, index + 1) }
            if Int(count) >= limit { return (.tooLong, index + 1) }
        }
        return (nil, bytes.count)
    }

    private static let (cr, lf) = (UInt8(ascii: "\r"), UInt8(ascii: "\n"))
    private static let (space, tab) = (UInt8(ascii: " "), UInt8(ascii: "\t"))

    private mutating func take(_ byte: UInt8) -> Finding? {
        switch phase {
        case .start:
            switch byte {
            case Self.cr: phase = .startCR
            case Self.lf: break
            default:
                enter(.method, candidates: Word.anyMethod)
                return take(method: byte)
            }
        case .startCR:
            guard byte == Self.lf else { return .notHTTP }
            phase = .start
        case .method: return take(method: byte)
        case .target: return take(target: byte)
        case .version: return take(version: byte)
        case .lineEnd:
            guard byte == Self.cr || byte == Self.lf else { return .notHTTP }
            phase = byte == Self.lf ? .fieldStart : .lineEndCR
        case .lineEndCR:
            guard byte == Self.lf else { return .notHTTP }
            phase = .fieldStart
        case .fieldStart:
            switch byte {
            case Self.lf: return finish()
            case Self.cr: phase = .fieldStartCR
            default:
                enter(.name, candidates: Word.anyField)
                take(name: byte)
            }
        case .fieldStartCR:
            if byte == Self.lf { return finish() }
            phase = .otherValue
        case .name: take(name: byte)
        case .otherValue: if byte == Self.lf { phase = .fieldStart }
        case .length: take(length: byte)
        case .options: take(option: byte)
        }
        return nil
    }

    private mutating func enter(_ next: Phase, candidates: UInt8 = 0) {
        (phase, progress, self.candidates) = (next, 0, candidates)
    }

    private mutating func finish() -> Finding {
        let facts = facts
        self = RequestScanner()
        let method: Request.Method =
            switch facts & Fact.method {
            case Word.get: .get
            case Word.head: .head
            default: .other
            }
        return .request(
            Request(
                method: method, isHTTP10: facts & Fact.isHTTP10 != 0, hasBody: facts & Fact.hasBody != 0,
                asksToClose: facts & Fact.asksToClose != 0, asksToKeep: facts & Fact.asksToKeep != 0))
    }

    // MARK: The request line

    /// The longest method that is looked for; the longest registered one has 16 letters.
    private static let longestMethod = 32

    private mutating func take(method byte: UInt8) -> Finding? {
        if byte == Self.space, progress > 0 {
            facts = Word.whole(Word.methods, candidates, ofLength: progress)
            enter(.target)
            return nil
        }
        guard byte.isToken, progress < Self.longestMethod else { return .notHTTP }
        candidates = Word.left(Word.methods, candidates, byte, at: progress)
        progress += 1
        return nil
    }

    /// How much of a target there is: nothing, `*` alone, or more.
    private enum TargetLength { static let (none, asterisk, more): (UInt8, UInt8, UInt8) = (0, 1, 2) }

    private mutating func take(target byte: UInt8) -> Finding? {
        switch byte {
        case 0x21...0x7E:
            let isAsterisk = progress == TargetLength.none && byte == UInt8(ascii: "*")
            progress = isAsterisk ? TargetLength.asterisk : TargetLength.more
        case Self.space where progress != TargetLength.none:
            // The preface of HTTP/2 is found to be that when its version is whole (RFC 9113 section 3.4).
            let mayBePreface = facts & Fact.method == Word.preface && progress == TargetLength.asterisk
            enter(.version, candidates: Word.http1 | (mayBePreface ? Word.http2 : 0))
        default: return .notHTTP
        }
        return nil
    }

    private mutating func take(version byte: UInt8) -> Finding? {
        let isHTTP1 = candidates & Word.http1 != 0
        candidates = Word.left(Word.versions, candidates, byte, at: progress)
        progress += 1
        if isHTTP1, Int(progress) == Word.versions[0].count + 1 {
            guard byte.isDigit else { return .notHTTP }
            if byte == UInt8(ascii: "0") { facts |= Fact.isHTTP10 }
            enter(.lineEnd)
            return nil
        }
        let isPreface = Word.whole(Word.versions, candidates, ofLength: progress) & Word.http2 != 0
        return candidates == 0 || isPreface ? .notHTTP : nil
    }

    // MARK: Fields

    private mutating func take(name byte: UInt8) {
        guard byte != Self.lf else { return phase = .fieldStart }
        if byte == UInt8(ascii: ":") {
            switch Word.whole(Word.fields, candidates, ofLength: progress) {
            case Word.transferEncoding:
                facts |= Fact.hasBody
                enter(.otherValue)
            case Word.contentLength: enter(.length)
            case Word.connection: enter(.options, candidates: Word.anyOption)
            default: enter(.otherValue)
            }
            return
        }
        candidates = Word.left(Word.fields, candidates, byte.lowercased, at: progress)
        if candidates == 0 { enter(.otherValue) } else { progress += 1 }
    }

    /// How much of a length there is that may be 0: blanks, zeros, blanks behind them, and the CR of the line's end.
    private enum ZeroLength { static let (none, zeros, behind, cr): (UInt8, UInt8, UInt8, UInt8) = (0, 1, 2, 3) }

    private mutating func take(length byte: UInt8) {
        switch (byte, progress) {
        case (Self.space, ZeroLength.none), (Self.tab, ZeroLength.none): break
        case (UInt8(ascii: "0"), ZeroLength.none), (UInt8(ascii: "0"), ZeroLength.zeros): progress = ZeroLength.zeros
        case (Self.space, ZeroLength.zeros), (Self.tab, ZeroLength.zeros), (Self.space, ZeroLength.behind),
            (Self.tab, ZeroLength.behind):
            progress = ZeroLength.behind
        case (Self.cr, ZeroLength.zeros), (Self.cr, ZeroLength.behind): progress = ZeroLength.cr
        case (Self.lf, _) where progress != ZeroLength.none: phase = .fieldStart
        default:
            facts |= Fact.hasBody
            phase = byte == Self.lf ? .fieldStart : .otherValue
        }
    }

    /// The options of Connection are tokens, with commas and blanks between them (RFC 9110 section 7.6.1).
    private mutating func take(option byte: UInt8) {
        switch byte {
        case Self.space, Self.tab, Self.cr, Self.lf, UInt8(ascii: ","):
            switch Word.whole(Word.options, candidates, ofLength: progress) {
            case Word.close: facts |= Fact.asksToClose
            case Word.keepAlive: facts |= Fact.asksToKeep
            default: break
            }
            enter(byte == Self.lf ? .fieldStart : .options, candidates: Word.anyOption)
        default:
            candidates = Word.left(Word.options, candidates, byte.lowercased, at: progress)
            // Of an option that is none of these its length is of no interest.
            if candidates != 0 { progress += 1 }
        }
    }

    private enum Fact {
        /// One of `Word.methods`, or none.
        static let method: UInt8 = 7
        static let isHTTP10: UInt8 = 8
        static let hasBody: UInt8 = 16
        static let asksToClose: UInt8 = 32
        static let asksToKeep: UInt8 = 64
        static let all: UInt8 = 127
    }

    /// Words that are looked for: a bit for each of a set, in its order.
    private enum Word {
        static let methods = [Array("GET".utf8), Array("HEAD".utf8), Array("PRI".utf8)]
        static let (get, head, preface, anyMethod): (UInt8, UInt8, UInt8, UInt8) = (1, 2, 4, 7)
        static let versions = [Array("HTTP/1.".utf8), Array("HTTP/2.0".utf8)]
        static let (http1, http2): (UInt8, UInt8) = (1, 2)
        static let fields = [
            Array("transfer-encoding".utf8), Array("content-length".utf8), Array("connection".utf8),
        ]
        static let (transferEncoding, contentLength, connection, anyField): (UInt8, UInt8, UInt8, UInt8) = (1, 2, 4, 7)
        static let options = [Array("close".utf8), Array("keep-alive".utf8)]
        static let (close, keepAlive, anyOption): (UInt8, UInt8, UInt8) = (1, 2, 3)

        /// Those of `candidates` that have this byte at a position.
        static func left(_ words: [[UInt8]], _ candidates: UInt8, _ byte: UInt8, at position: UInt8) -> UInt8 {
            filter(words, candidates) { Int(position) < $0.count && $0[Int(position)] == byte }
        }

        /// Those of `candidates` that have as many bytes.
        static func whole(_ words: [[UInt8]], _ candidates: UInt8, ofLength length: UInt8) -> UInt8 {
            filter(words, candidates) { $0.count == Int(length) }
        }

        private static func filter(_ words: [[UInt8]], _ candidates: UInt8, _ isLeft: ([UInt8]) -> Bool) -> UInt8 {
            var left: UInt8 = 0
            for (index, word) in words.enumerated() where candidates & 1 << index != 0 && isLeft(word) {
                left |= 1 << index
            }
            return left
        }
    }
}

extension RequestScanner {
    /// The eight bytes that are all it knows.
    package var encoded: [UInt8] {
        [phase.rawValue, progress, candidates, facts] + withUnsafeBytes(of: count.bigEndian) { Array($0) }
    }

    /// Reads what `encoded` wrote; `nil` if it is anything that no scanner comes to.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 8, let phase = Phase(rawValue: bytes[0]) else { return nil }
        self.phase = phase
        (progress, candidates, facts) = (bytes[1], bytes[2], bytes[3])
        count = bytes[4...].reduce(0) { $0 << 8 | UInt32($1) }
        guard progress <= maxProgress, candidates & ~possibleCandidates == 0, facts & ~Fact.all == 0,
            count <= Self.longestHead, phase == .start || count > 0
        else { return nil }
    }

    /// More than any limit allows.
    private static let longestHead: UInt32 = 1 << 24

    private var maxProgress: UInt8 {
        switch phase {
        case .start, .startCR, .fieldStartCR, .otherValue, .lineEnd, .lineEndCR, .fieldStart: Self.maxForgotten
        case .method: UInt8(Self.longestMethod)
        case .target: TargetLength.more
        case .version: 8
        case .name: 17
        case .length: ZeroLength.cr
        case .options: 10
        }
    }

    /// What the part before has left.
    private static let maxForgotten: UInt8 = 17

    private var possibleCandidates: UInt8 { 7 }
}

extension UInt8 {
    /// RFC 9110 section 5.6.2, `tchar`.
    fileprivate var isToken: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        default: isDigit || "!#$%&'*+-.^_`|~".utf8.contains(self)
        }
    }

    fileprivate var isDigit: Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= self }

    fileprivate var lowercased: UInt8 { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= self ? self | 0x20 : self }
}
