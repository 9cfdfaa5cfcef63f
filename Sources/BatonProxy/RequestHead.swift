/// The beginning of an HTTP/1 request, read from the first bytes of a connection without consuming them: no more than
/// the choice of a route needs. It is not an HTTP parser; header fields are measured, not read.
public struct RequestHead: Hashable, Sendable {
    /// The request line.
    public var line: RequestLine
    /// The bytes up to and with the empty line that ends the header fields; nil while that has not arrived.
    public var length: Int?

    /// What the first bytes of a connection turned out to be.
    public enum Reading: Hashable, Sendable {
        /// All bytes so far fit a request line, and more are needed.
        case incomplete
        /// The request line is there; the header fields may be.
        case head(RequestHead)
        /// Not an HTTP/1 request.
        case notHTTP
        /// The head does not end within the limit.
        case tooLong
    }

    /// The longest method that is looked for; the longest registered one has 16 letters.
    static let methodLimit = 32

    /// Reads from the bytes that have arrived so far.
    ///
    /// - Parameters:
    ///   - bytes: everything received so far.
    ///   - limit: the most bytes that the request line and the header fields may take.
    public static func read(_ bytes: RawSpan, limit: Int) -> Reading {
        bytes.withUnsafeBytes { read($0, limit: limit) }
    }

    private static func read(_ bytes: UnsafeRawBufferPointer, limit: Int) -> Reading {
        let window = UnsafeRawBufferPointer(rebasing: bytes.prefix(max(0, limit)))
        let methodEnd = window.prefix(methodLimit + 1).firstIndex { !$0.isToken }
        guard let methodEnd else {
            if window.count > methodLimit { return .notHTTP }
            return window.count < limit ? .incomplete : .tooLong
        }
        guard methodEnd > 0, window[methodEnd] == UInt8(ascii: " ") else { return .notHTTP }
        let targetStart = methodEnd + 1
        guard let targetEnd = window[targetStart...].firstIndex(where: { !(0x21...0x7E ~= $0) }) else {
            return window.count < limit ? .incomplete : .tooLong
        }
        guard targetEnd > targetStart, window[targetEnd] == UInt8(ascii: " ") else { return .notHTTP }
        let ending = window[(targetEnd + 1)...].prefix(10)
        guard ending.matches("HTTP/1.?\r\n") else { return .notHTTP }
        guard ending.count == 10 else { return window.count < limit ? .incomplete : .tooLong }
        let line = RequestLine(
            method: String(decoding: window[..<methodEnd], as: UTF8.self),
            target: String(decoding: window[targetStart..<targetEnd], as: UTF8.self),
            minorVersion: ending[ending.startIndex + 7] == UInt8(ascii: "0") ? 0 : 1)
        let length = headLength(window, from: ending.endIndex)
        if length == nil, window.count >= limit { return .tooLong }
        return .head(RequestHead(line: line, length: length))
    }

    /// The offset behind the first empty line at or after `start`, where a line begins.
    private static func headLength(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var lineStart = start
        while let end = bytes[lineStart...].firstIndex(of: 0x0A) {
            let length = end - lineStart
            if length == 0 || length == 1 && bytes[lineStart] == 0x0D { return end + 1 }
            lineStart = end + 1
        }
        return nil
    }
}

extension UInt8 {
    /// RFC 9110 section 5.6.2, `tchar`.
    fileprivate var isToken: Bool {
        isLetterOrDigit || "!#$%&'*+-.^_`|~".utf8.contains(self)
    }
}

extension Slice<UnsafeRawBufferPointer> {
    /// Whether the bytes begin `pattern`, in which `?` stands for `0` or `1`.
    fileprivate func matches(_ pattern: StaticString) -> Bool {
        pattern.withUTF8Buffer { pattern in
            zip(self, pattern).allSatisfy { byte, wanted in
                wanted == UInt8(ascii: "?") ? byte | 1 == UInt8(ascii: "1") : byte == wanted
            }
        }
    }
}
