/// Lines of SMTP, ended by CR LF, out of bytes in pieces of any size.
struct Lines {
    /// RFC 5321 section 4.5.3.1.6, the longer of its two limits.
    private static let longest = 1_000
    private var bytes: [UInt8] = []

    /// Whether bytes wait behind the last line.
    var isEmpty: Bool { bytes.isEmpty }

    /// Whether what has come is longer than a line may be.
    var isTooLong: Bool { bytes.firstIndex(of: 10).map { $0 >= Self.longest } ?? (bytes.count >= Self.longest) }

    mutating func append(_ more: some Sequence<UInt8>) { bytes += more }

    /// The next line without its end. Not text of some encoding: what is not ASCII becomes a replacement character.
    mutating func next() -> String? {
        guard !isTooLong, let end = bytes.firstIndex(of: 10) else { return nil }
        defer { bytes.removeFirst(end + 1) }
        return String(decoding: bytes[..<end].dropLast(bytes[..<end].last == 13 ? 1 : 0), as: UTF8.self)
    }
}

/// A command; what follows its verb is of no interest here.
struct Command {
    let verb: String

    init(_ line: String) { verb = String(line.prefix { $0 != " " }).uppercased() }
}
