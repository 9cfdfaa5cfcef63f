/// Where the plaintext of an opened record lies.
package struct OpenedRecord: Sendable {
    /// The inner content type, unchecked; 0 if a TLS 1.3 record held only zeros.
    package var type: UInt8
    /// First byte of the content, counted from the record's header.
    package var offset: Int
    /// Bytes of content.
    package var count: Int
    /// Length of the TLSInnerPlaintext (with type and padding), or of the TLS 1.2 fragment: what a record size limit
    /// counts (RFC 8449 section 4).
    package var innerLength: Int
}
