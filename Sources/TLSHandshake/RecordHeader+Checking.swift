internal import TLSRecords

extension RecordHeader {
    /// 2^14 + 2048, the most TLS 1.2 allows (RFC 5246 section 6.2.3). TLS 1.3 allows less, which the library checks.
    static let longestFragment = 16_384 + 2_048

    /// 2^14, the most that a record without protection may hold (RFC 8446 section 5.1).
    static let longestPlaintext = 16_384

    /// Whether `bytes` can begin a record of any type.
    static func mayBegin(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let first = bytes.first, ContentType(rawValue: first) != nil else { return false }
        return bytes.count < 2 || bytes[1] == 3
    }

    /// The field that no record of any supported version can have; `nil` if the header is possible.
    var impossibleField: String? {
        guard ContentType(rawValue: type) != nil else { return "record type" }
        // 0x0301 to 0x0303 are in use, and 0x0300 as the version of a first record in old clients.
        guard version >> 8 == 3 else { return "record version" }
        guard length <= RecordHeader.longestFragment else { return "record length" }
        return nil
    }
}
