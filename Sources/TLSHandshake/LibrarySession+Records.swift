internal import COpenSSL
internal import TLSRecords

/// What OpenSSL 3.0 takes or answers otherwise than RFC 8446 section 5 says. It alone can open the records, and alone has
/// the key for the alert; so it tells us of what it has opened, and where the RFC asks for `unexpected_message` we give it
/// a record that it answers so.
extension LibrarySession {
    /// A record of a type that does not exist.
    private static let impossibleRecord: [UInt8] = [99, 3, 3, 0, 1, 0]

    /// Follows the records that the library opens.
    func watchRecords() {
        SSL_set_msg_callback(ssl) { isOutgoing, _, type, bytes, count, ssl, _ in
            guard isOutgoing == 0, let ssl, let bytes, count > 0, let session = LibrarySession.of(ssl) else { return }
            session.saw(type, UnsafeRawBufferPointer(start: bytes, count: count))
        }
    }

    /// Each TLS 1.3 record is told by its inner type, and each message and alert when it is whole.
    private func saw(_ type: Int32, _ bytes: UnsafeRawBufferPointer) {
        switch type {
        case SSL3_RT_INNER_CONTENT_TYPE:
            if bytes[0] == ContentType.handshake.rawValue { isInsideMessage = true }
        case SSL3_RT_HANDSHAKE: isInsideMessage = false
        case SSL3_RT_ALERT:
            // Whoever ends the connection inside a message is not told that this, too, is wrong. In TLS 1.3 only
            // user_canceled does not end it, whatever its level.
            if isInsideMessage, bytes.count > 1, bytes[1] == 90 { hasInterleaved = true }
        default: break
        }
    }

    /// Has the library refuse the handshake with `unexpected_message`.
    func refuse() -> Outcome {
        // It is not what ends the handshake.
        alertReceived = nil
        _ = LibrarySession.impossibleRecord.withUnsafeBytes { write($0) }
        return handshake()
    }
}

extension RecordHeader {
    /// A change_cipher_spec of TLS 1.3 holds the one byte 1. The library answers another with `illegal_parameter`.
    static func isWrongChangeCipherSpec(_ record: UnsafeRawBufferPointer) -> Bool {
        record[0] == ContentType.changeCipherSpec.rawValue
            && (record.count != RecordHeader.length + 1 || record[RecordHeader.length] != 1)
    }
}
