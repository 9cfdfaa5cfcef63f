/// Where the plaintext of an opened record lies.
package struct OpenedRecord: Sendable {
    /// The inner content type, unchecked; 0 if a TLS 1.3 record held only zeros.
    package var type: UInt8
    /// First byte of the content, counted from the record's header, or from the output where that is another place.
    package var offset: Int
    /// Bytes of content.
    package var count: Int
    /// Length of the TLSInnerPlaintext (with type and padding), or of the TLS 1.2 fragment: what a record size limit
    /// counts (RFC 8449 section 4).
    package var innerLength: Int
}

extension OpenedRecord {
    /// The content.
    ///
    /// - Parameter bytes: what `offset` counts in.
    func content(in bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }
}

/// An alert as it is on the wire (RFC 8446 section 6).
struct AlertMessage {
    var level: UInt8
    var description: Alert

    /// `nil` unless `content` is two bytes: an alert is not split, and no other follows in its record (RFC 8446 section
    /// 5.1).
    init?(_ content: UnsafeRawBufferPointer) {
        guard content.count == 2 else { return nil }
        level = content[0]
        description = Alert(rawValue: content[1])
    }
}
