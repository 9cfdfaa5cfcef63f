/// Which connections are listed, and in what order. Workers select among theirs, and the front among what they answer.
struct ConnectionSelection: Codable, Sendable, Equatable {
    /// What the list can be ordered by, by its name in a row.
    enum Column: String, Codable, CaseIterable, Sendable {
        case id, peer, alpn, version, cipher, moves, worker, listener, target, received, sent
        case serverName = "server_name"
        case age = "age_ms"
    }

    /// The most bytes of a filter. What is longer is nobody's name.
    static let longestFilter = 1_024
    static let maxWords = 8

    /// Each is in one of a connection's names, whatever their case. Bytes, in lower case.
    private(set) var words: [[UInt8]] = []
    /// `nil`: in the order of the workers, and of their connections.
    var column: Column?
    /// Whether the greatest come first. Connections without a value are the last in either case.
    var isDescending = false

    init() {}

    /// `nil` if the filter is too long.
    init?(filter: String, by column: Column?, isDescending: Bool) {
        guard filter.utf8.count <= Self.longestFilter else { return nil }
        let words = filter.split(whereSeparator: \.isWhitespace).map { Self.folded($0.utf8) }
        guard words.count <= Self.maxWords else { return nil }
        self.words = words
        self.column = column
        self.isDescending = isDescending
    }

    /// Whether every connection is listed in the order of the workers, so that only a page's need to be looked at.
    var isPlain: Bool { words.isEmpty && column == nil }

    func takes(_ row: ConnectionRow) -> Bool {
        guard !words.isEmpty else { return true }
        let names = [
            row.connection, row.peer, row.serverName, row.target, row.listener, row.protocolName, row.version,
            row.cipher,
        ]
        .compactMap { name in name.map { Self.folded($0.utf8) } }
        let id = Array("\(row.id)".utf8)
        return words.allSatisfy { word in word == id || names.contains { Self.contains($0, word) } }
    }

    /// Where a row stands in this order.
    func place(of row: ConnectionRow, in worker: Int) -> ConnectionCursor {
        let key: ConnectionCursor.Key? =
            switch column {
            case nil, .id: .number(row.id)
            case .worker: .number(UInt64(clamping: worker))
            case .moves: .number(UInt64(row.moves))
            case .received: row.received.map { .number($0) }
            case .sent: row.sent.map { .number($0) }
            // A place in the list must not change with time.
            case .age: row.acceptedAt.map { .number(.max - $0) }
            case .peer: row.peer.map { .text(Array($0.utf8)) }
            case .alpn: row.protocolName.map { .text(Array($0.utf8)) }
            case .version: row.version.map { .text(Array($0.utf8)) }
            case .cipher: row.cipher.map { .text(Array($0.utf8)) }
            case .listener: row.listener.map { .text(Array($0.utf8)) }
            case .target: .text(Array(row.target.utf8))
            case .serverName: row.serverName.map { .text(Array($0.utf8)) }
            }
        return ConnectionCursor(worker: worker, connection: row.id, key: column == nil ? nil : key)
    }

    /// Whether what is at one place is listed before what is at the other.
    func precedes(_ one: ConnectionCursor, _ other: ConnectionCursor) -> Bool {
        switch (one.key, other.key) {
        case (.some(let a), .some(let b)) where a != b: return isDescending ? b < a : a < b
        case (.some, .none): return true
        case (.none, .some): return false
        default: return (one.worker, one.connection) < (other.worker, other.connection)
        }
    }

    private static func folded(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        bytes.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
    }

    /// Names have at most a few hundred bytes.
    private static func contains(_ name: [UInt8], _ word: [UInt8]) -> Bool {
        guard let first = word.first, name.count >= word.count else { return word.isEmpty }
        for start in 0...(name.count - word.count) where name[start] == first {
            if name[start..<start + word.count].elementsEqual(word) { return true }
        }
        return false
    }
}

/// A place in a list of connections: behind this connection of this worker, and where the list is ordered by something, behind
/// its value.
struct ConnectionCursor: Sendable, Hashable {
    enum Key: Sendable, Hashable, Comparable {
        case number(UInt64)
        /// UTF-8.
        case text([UInt8])

        /// Numbers within text count as such: `10.0.0.9:80` comes before `10.0.0.10:80`.
        static func < (one: Key, other: Key) -> Bool {
            switch (one, other) {
            case (.number(let a), .number(let b)): a < b
            case (.text(let a), .text(let b)): isNaturallyBefore(a, b)
            case (.number, .text): true
            case (.text, .number): false
            }
        }

        private static func isNaturallyBefore(_ a: [UInt8], _ b: [UInt8]) -> Bool {
            func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
            func digits(_ text: [UInt8], _ start: Int) -> Int {
                var end = start
                while end < text.count, isDigit(text[end]) { end += 1 }
                return end - start
            }
            var (i, j) = (0, 0)
            while i < a.count, j < b.count {
                guard isDigit(a[i]), isDigit(b[j]) else {
                    if a[i] != b[j] { return a[i] < b[j] }
                    i += 1
                    j += 1
                    continue
                }
                let (m, n) = (digits(a, i), digits(b, j))
                if m != n { return m < n }
                for offset in 0..<m where a[i + offset] != b[j + offset] { return a[i + offset] < b[j + offset] }
                i += m
                j += n
            }
            return a.count - i < b.count - j
        }
    }

    var worker: Int
    var connection: UInt64
    var key: Key?

    init(worker: Int, connection: UInt64, key: Key? = nil) {
        self.worker = worker
        self.connection = connection
        self.key = key
    }

    /// Reads what `description` wrote.
    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3, let worker = Int(parts[0]), let connection = UInt64(parts[1]),
            worker >= 0
        else { return nil }
        self.init(worker: worker, connection: connection)
        guard parts.count == 3 else { return }
        switch parts[2].first {
        case "n":
            guard let number = UInt64(parts[2].dropFirst()) else { return nil }
            key = .number(number)
        case "t":
            guard let bytes = [UInt8](hexadecimal: parts[2].dropFirst()) else { return nil }
            key = .text(bytes)
        default: return nil
        }
    }
}

extension ConnectionCursor: CustomStringConvertible, Codable {
    var description: String {
        switch key {
        case nil: "\(worker).\(connection)"
        case .number(let number): "\(worker).\(connection).n\(number)"
        case .text(let text):
            "\(worker).\(connection).t\(text.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())"
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let cursor = ConnectionCursor(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "it is no place in a list")
        }
        self = cursor
    }
}

extension [UInt8] {
    fileprivate init?(hexadecimal text: some StringProtocol) {
        let digits = text.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count.isMultiple(of: 2), !digits.contains(nil) else { return nil }
        self = stride(from: 0, to: digits.count, by: 2).map { UInt8((digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0)) }
    }
}
