/// Answers to HTTP requests that no upstream is to see.
package enum HTTPRefusal {
    /// A response whose body is one line of text.
    ///
    /// - Parameter isLast: whether the connection ends with it.
    package static func response(_ status: String, _ text: String, isLast: Bool = true) -> [UInt8] {
        Array(
            ("HTTP/1.1 \(status)\r\nContent-Type: text/plain\r\nContent-Length: \(text.utf8.count + 1)\r\n"
                + (isLast ? "Connection: close\r\n" : "") + "\r\n\(text)\n").utf8)
    }

    /// An empty SETTINGS frame, and a GOAWAY with HTTP_1_1_REQUIRED (RFC 9113 sections 3.4, 6.8 and 7), upon which
    /// clients may try again with HTTP/1.1.
    package static let http11Required: [UInt8] =
        [0, 0, 0, 4, 0, 0, 0, 0, 0] + [0, 0, 8, 7, 0, 0, 0, 0, 0] + [0, 0, 0, 0] + [0, 0, 0, 0x0D]
}
