/// The first line of an HTTP/1 request (RFC 9112 section 3).
package struct RequestLine: Hashable, Sendable {
    /// The method, as sent: methods are case-sensitive.
    package var method: String
    /// The request target, as sent.
    package var target: String
    /// The minor version. Beyond 1 it means what 1 means (RFC 9110 section 2.5).
    package var minorVersion: Int

    /// Creates a request line.
    package init(method: String, target: String, minorVersion: Int = 1) {
        self.method = method
        self.target = target
        self.minorVersion = minorVersion
    }

    /// The path of an origin-form or absolute-form target, without the query and neither decoded nor resolved; nil for
    /// `*` and for CONNECT's authority.
    package var path: Substring? {
        var rest = target[...]
        if rest.first != "/" {
            guard method != "CONNECT", let scheme = rest.utf8.firstIndex(of: UInt8(ascii: ":")),
                rest[scheme...].hasPrefix("://")
            else { return nil }
            rest = rest[scheme...].dropFirst(3)
            guard let slash = rest.utf8.firstIndex(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }),
                rest.utf8[slash] == UInt8(ascii: "/")
            else { return "/" }
            rest = rest[slash...]
        }
        return rest.prefix { $0 != "?" && $0 != "#" }
    }
}

extension RequestLine {
    /// The query, without its question mark and not decoded; nil if there is none.
    package var query: Substring? {
        let whole = target.prefix { $0 != "#" }
        return whole.utf8.firstIndex(of: UInt8(ascii: "?")).map { whole[$0...].dropFirst() }
    }

    /// What the first bytes of a connection turned out to be.
    package enum Reading: Hashable, Sendable {
        /// All bytes so far fit a request line, and more are needed.
        case incomplete
        /// The line, which ends after this many bytes.
        case line(RequestLine, length: Int)
        /// The preface of HTTP/2 (RFC 9113 section 3.4).
        case http2
        /// Not an HTTP/1 request.
        case notHTTP
        /// The line does not end within the limit.
        case tooLong
    }

    /// The longest method that is looked for; the longest registered one has 16 letters.
    static let methodLimit = 32

    /// Reads from the bytes that have arrived so far, without consuming them. Empty lines before the request line are
    /// skipped, and a line may end in a bare LF (RFC 9112 section 2.2); nothing else is forgiven.
    ///
    /// - Parameters:
    ///   - bytes: everything received so far.
    ///   - limit: the most bytes that the line may take, with its end and the empty lines before it.
    package static func read(_ bytes: RawSpan, limit: Int) -> Reading {
        bytes.withUnsafeBytes { read($0, limit: limit) }
    }

    static func read(_ bytes: UnsafeRawBufferPointer, limit: Int) -> Reading {
        let window = UnsafeRawBufferPointer(rebasing: bytes.prefix(max(0, limit)))
        let more: Reading = window.count < limit ? .incomplete : .tooLong
        var start = 0
        while start < window.count, window[start] == 0x0D || window[start] == 0x0A {
            if window[start] == 0x0D {
                guard start + 1 < window.count else { return more }
                guard window[start + 1] == 0x0A else { return .notHTTP }
                start += 1
            }
            start += 1
        }
        guard let methodEnd = window[start...].prefix(methodLimit + 1).firstIndex(where: { !$0.isToken }) else {
            return window.count - start > methodLimit ? .notHTTP : more
        }
        guard methodEnd > start, window[methodEnd] == UInt8(ascii: " ") else { return .notHTTP }
        let targetStart = methodEnd + 1
        guard let targetEnd = window[targetStart...].firstIndex(where: { !(0x21...0x7E ~= $0) }) else { return more }
        guard targetEnd > targetStart, window[targetEnd] == UInt8(ascii: " ") else { return .notHTTP }
        let version = window[(targetEnd + 1)...].prefix(8)
        let method = String(decoding: window[start..<methodEnd], as: UTF8.self)
        let target = String(decoding: window[targetStart..<targetEnd], as: UTF8.self)
        if method == "PRI", target == "*", zip(version, "HTTP/2.0".utf8).allSatisfy({ $0 == $1 }) {
            return version.count == 8 ? .http2 : more
        }
        guard zip(version, "HTTP/1.".utf8).allSatisfy({ $0 == $1 }) else { return .notHTTP }
        guard let digit = version.dropFirst(7).first else { return more }
        guard digit.isDigit else { return .notHTTP }
        var end = targetEnd + 9
        if end < window.count, window[end] == 0x0D { end += 1 }
        guard end < window.count else { return more }
        guard window[end] == 0x0A else { return .notHTTP }
        let line = RequestLine(method: method, target: target, minorVersion: Int(digit - UInt8(ascii: "0")))
        return .line(line, length: end + 1)
    }
}

extension UInt8 {
    /// RFC 9110 section 5.6.2, `tchar`.
    fileprivate var isToken: Bool {
        isLetterOrDigit || "!#$%&'*+-.^_`|~".utf8.contains(self)
    }
}
