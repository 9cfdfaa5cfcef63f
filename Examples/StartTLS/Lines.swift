/// Lines of SMTP, ended by CR LF, out of bytes in pieces of any size. LF alone ends none (RFC 5321 section 2.3.8): where one server
/// sees the end of a message and the next does not, what follows is smuggled past it (CVE-2023-51764).
struct Lines {
    /// RFC 5321 section 4.5.3.1.6, the longer of its two limits.
    private static let longest = 1_000
    private var bytes: ArraySlice<UInt8> = []

    /// Where the first line's CR LF is.
    private var end: Int? {
        bytes.indices.dropLast().first { bytes[$0] == UInt8(ascii: "\r") && bytes[$0 + 1] == UInt8(ascii: "\n") }
    }

    /// Whether bytes wait behind the last line.
    var isEmpty: Bool { bytes.isEmpty }

    /// Whether what has come is longer than a line may be.
    var isTooLong: Bool { (end ?? bytes.endIndex) - bytes.startIndex >= Self.longest }

    mutating func append(_ more: some Sequence<UInt8>) { bytes += more }

    /// The next line without its end. Not text of some encoding: what is not ASCII becomes a replacement character.
    mutating func next() -> String? {
        guard !isTooLong, let end else { return nil }
        defer { bytes = bytes[(end + 2)...] }
        return String(decoding: bytes[..<end], as: UTF8.self)
    }
}

/// A command; what follows its verb is of no interest here.
struct Command {
    let verb: String

    init(_ line: String) { verb = String(line.prefix { $0 != " " }).uppercased() }
}
