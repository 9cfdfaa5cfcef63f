/// Why a connection cannot go on, or a call was refused.
///
/// After an error whose `fault` is `.peer` the connection has ended: the alert to send is already queued in its
/// outgoing bytes, nothing more can be sent, and every further `nextEvent()` throws the same error.
public struct TLSError: Error, Hashable, Sendable {
    /// What happened. The raw values are part of the snapshot format.
    public enum Code: UInt8, Sendable, CaseIterable {
        /// A record did not authenticate.
        case badRecord = 1
        /// A record is longer than the version or the negotiated limit allows.
        case recordTooLong = 2
        /// A record of a type that is not allowed now.
        case unexpectedRecord = 3
        /// A TLS 1.2 record with another version in its header.
        case wrongRecordVersion = 4
        /// A TLS 1.3 record that holds only zeros, or an empty fragment of a type that may not be empty.
        case emptyRecord = 5
        /// An alert that is not two bytes long, or has a level that does not exist.
        case malformedAlert = 6
        /// A post-handshake message that cannot be decoded.
        case malformedMessage = 7
        /// A post-handshake message longer than any legal one.
        case messageTooLong = 8
        /// A post-handshake message that is not allowed on this connection.
        case unexpectedMessage = 9
        /// Another record type inside a handshake message that spans records (RFC 8446 section 5.1).
        case interleavedMessage = 10
        /// A KeyUpdate that does not end its record (RFC 8446 section 5.1).
        case keyUpdateInsideRecord = 11
        /// Too many records in a row that carry nothing.
        case tooManyEmptyRecords = 12
        /// Too many warning alerts in a row.
        case tooManyWarnings = 13
        /// More key updates than records of ours and time allow.
        case tooManyKeyUpdates = 14
        /// The peer keeps asking for renegotiation.
        case tooManyRenegotiations = 15
        /// The peer sent a fatal alert; `alert` is the one it sent.
        case peerAlert = 16
        /// The transport ended without a close_notify: data may have been cut off.
        case truncated = 17
        /// The key may not protect more data, and TLS 1.2 has no key update.
        case keyExhausted = 18
        /// Too many session tickets without data in either direction between them.
        case tooManyTickets = 19
        /// This side has already sent its close_notify or a fatal alert.
        case writeClosed = 32
        /// TLS 1.2 has no key update.
        case noKeyUpdate = 33
    }

    /// Who has to change something.
    public enum Fault: Sendable {
        /// The peer broke the protocol, or ended the connection.
        case peer
        /// Nobody: a limit of the cipher was reached.
        case limit
        /// The calling code.
        case caller
    }

    /// What happened.
    public var code: Code
    /// The alert that was queued for the peer, or with `peerAlert` the one it sent.
    public var alert: Alert?

    /// An error with its alert.
    public init(_ code: Code, alert: Alert? = nil) {
        self.code = code
        self.alert = alert
    }

    /// Who has to change something.
    public var fault: Fault {
        switch code {
        case .keyExhausted: .limit
        case .writeClosed, .noKeyUpdate: .caller
        default: .peer
        }
    }
}

extension TLSError.Code {
    /// Where the standard forbids it; `nil` for limits of our own and for what is no error of the peer's.
    public var section: String? {
        switch self {
        case .badRecord: "RFC 8446 section 5.2"
        case .recordTooLong: "RFC 8446 section 5.2"
        case .unexpectedRecord: "RFC 8446 section 5"
        case .wrongRecordVersion: "RFC 5246 section 6.2.1"
        case .emptyRecord: "RFC 8446 section 5.4"
        case .malformedAlert: "RFC 8446 section 6"
        case .malformedMessage, .messageTooLong: "RFC 8446 section 6"
        case .unexpectedMessage: "RFC 8446 section 4.6"
        case .interleavedMessage, .keyUpdateInsideRecord: "RFC 8446 section 5.1"
        case .keyExhausted: "RFC 8446 section 5.5"
        case .tooManyEmptyRecords, .tooManyWarnings, .tooManyKeyUpdates, .tooManyRenegotiations, .tooManyTickets,
            .peerAlert, .truncated, .writeClosed, .noKeyUpdate:
            nil
        }
    }
}

extension TLSError: CustomStringConvertible {
    /// One line; it holds nothing the peer sent but the number of its alert.
    public var description: String {
        switch code {
        case .badRecord: "a record did not authenticate"
        case .recordTooLong: "a record is longer than allowed"
        case .unexpectedRecord: "a record of a type that is not allowed after the handshake"
        case .wrongRecordVersion: "a record with another protocol version"
        case .emptyRecord: "a record without content"
        case .malformedAlert: "an alert that cannot be decoded"
        case .malformedMessage: "a post-handshake message that cannot be decoded"
        case .messageTooLong: "a post-handshake message longer than any legal one"
        case .unexpectedMessage: "a handshake message that is not allowed after the handshake"
        case .interleavedMessage: "another record type inside a handshake message"
        case .keyUpdateInsideRecord: "a KeyUpdate that does not end its record"
        case .tooManyEmptyRecords: "too many empty records in a row"
        case .tooManyWarnings: "too many warning alerts in a row"
        case .tooManyKeyUpdates: "too many key updates without data"
        case .tooManyRenegotiations: "too many requests to renegotiate"
        case .peerAlert: "the peer ended the connection with \(alert.map(String.init(describing:)) ?? "an alert")"
        case .truncated: "the transport ended without a close_notify"
        case .keyExhausted: "the key has protected as much as its cipher allows, and TLS 1.2 cannot change it"
        case .tooManyTickets: "too many session tickets without data"
        case .writeClosed: "nothing can be sent after the close_notify; check isWriteClosed first"
        case .noKeyUpdate: "TLS 1.2 has no key update"
        }
    }
}
