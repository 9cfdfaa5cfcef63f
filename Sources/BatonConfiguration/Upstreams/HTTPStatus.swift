/// The status of an HTTP/1 answer.
package enum HTTPStatus {
    /// Reads the first line (RFC 9112 section 4).
    ///
    /// - Parameters:
    ///   - bytes: all that has come.
    ///   - limit: the most bytes that the line may take.
    /// - Returns: `nil` while more is needed; 0 if it is no status line.
    package static func read(_ bytes: [UInt8], limit: Int) -> Int? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return bytes.count < limit ? nil : 0 }
        let line = Array(bytes[..<end])
        guard line.count >= 12, line.starts(with: "HTTP/1.".utf8), line[7].isDigit, line[8] == UInt8(ascii: " "),
            line[9...11].allSatisfy(\.isDigit),
            line.count == 12 || line[12] == UInt8(ascii: " ") || line[12] == UInt8(ascii: "\r")
        else { return 0 }
        return line[9...11].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    }
}
