/// The beginning of an HTTP/1 request, read from the first bytes of a connection without consuming them. It is not an
/// HTTP parser; header fields are measured, not read.
package struct RequestHead: Hashable, Sendable {
    /// The request line.
    package var line: RequestLine
    /// The bytes up to and with the empty line that ends the header fields; nil while that has not arrived.
    package var length: Int?

    /// What the first bytes of a connection turned out to be.
    package enum Reading: Hashable, Sendable {
        /// All bytes so far fit a request line, and more are needed.
        case incomplete
        /// The request line is there; the header fields may be.
        case head(RequestHead)
        /// Not an HTTP/1 request.
        case notHTTP
        /// The head does not end within the limit.
        case tooLong
    }

    /// Reads from the bytes that have arrived so far.
    ///
    /// - Parameters:
    ///   - bytes: everything received so far.
    ///   - limit: the most bytes that the request line and the header fields may take.
    package static func read(_ bytes: RawSpan, limit: Int) -> Reading {
        bytes.withUnsafeBytes { read($0, limit: limit) }
    }

    private static func read(_ bytes: UnsafeRawBufferPointer, limit: Int) -> Reading {
        switch RequestLine.read(bytes, limit: limit) {
        case .incomplete: return .incomplete
        case .http2, .notHTTP: return .notHTTP
        case .tooLong: return .tooLong
        case .line(let line, let start):
            let window = UnsafeRawBufferPointer(rebasing: bytes.prefix(max(0, limit)))
            let length = headLength(window, from: start)
            if length == nil, window.count >= limit { return .tooLong }
            return .head(RequestHead(line: line, length: length))
        }
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
