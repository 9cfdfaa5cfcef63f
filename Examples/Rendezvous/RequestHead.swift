/// The head of an HTTP/1.1 request.
struct RequestHead {
    static let longest = 16_384

    let method: String
    let path: String
    /// How many bytes it took, with the empty line at its end.
    let byteCount: Int
    private var fields: [String: String] = [:]

    /// - Parameter searched: how many of the bytes have been looked at in vain.
    /// - Returns: `nil` if `bytes` do not hold all of it.
    /// - Throws: `Refusal` if it is none, or too long.
    init?(_ bytes: [UInt8], searched: Int) throws(Refusal) {
        // The last three of them may be the beginning of the empty line.
        guard let end = bytes[max(0, searched - 3)...].firstRange(of: Array("\r\n\r\n".utf8)) else {
            guard bytes.count <= Self.longest else { throw .badRequest("the request's head is too long") }
            return nil
        }
        byteCount = end.upperBound
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count == 3, words[2].hasPrefix("HTTP/1.") else { throw .badRequest("this is no HTTP/1.1 request") }
        method = String(words[0])
        path = String(words[1].prefix { $0 != "?" })
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { throw .badRequest("a header field has no colon") }
            let value = line[line.index(after: colon)...].trimmed
            fields[line[..<colon].lowercased(), default: ""] +=
                fields[line[..<colon].lowercased()] == nil ? value : ", " + value
        }
    }

    subscript(name: String) -> String? { fields[name] }
}

extension Substring {
    fileprivate var trimmed: String {
        String(drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}
