/// An alert description (RFC 8446 section 6, RFC 5246 section 7.2). The raw value is the byte on the wire.
public struct Alert: RawRepresentable, Hashable, Sendable {
    /// The byte on the wire.
    public var rawValue: UInt8

    /// Any description, known or not.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The sender will send no more data.
    public static let closeNotify = Alert(rawValue: 0)
    /// A message arrived that is not allowed now.
    public static let unexpectedMessage = Alert(rawValue: 10)
    /// A record did not authenticate.
    public static let badRecordMAC = Alert(rawValue: 20)
    /// A record is longer than allowed.
    public static let recordOverflow = Alert(rawValue: 22)
    /// No acceptable parameters could be agreed on.
    public static let handshakeFailure = Alert(rawValue: 40)
    /// A certificate is corrupt.
    public static let badCertificate = Alert(rawValue: 42)
    /// A field of a message is out of range or inconsistent.
    public static let illegalParameter = Alert(rawValue: 47)
    /// A certificate's issuer is not known.
    public static let unknownCA = Alert(rawValue: 48)
    /// A valid certificate or session was shown, and its holder is not let in.
    public static let accessDenied = Alert(rawValue: 49)
    /// A message could not be decoded.
    public static let decodeError = Alert(rawValue: 50)
    /// The offered protocol version is not supported.
    public static let protocolVersion = Alert(rawValue: 70)
    /// An error that is not the peer's fault.
    public static let internalError = Alert(rawValue: 80)
    /// The user cancelled; a close_notify follows.
    public static let userCanceled = Alert(rawValue: 90)
    /// Renegotiation is refused (TLS 1.2, a warning).
    public static let noRenegotiation = Alert(rawValue: 100)
    /// An extension is required and was not sent.
    public static let missingExtension = Alert(rawValue: 109)
    /// No server of that name is here (RFC 6066 section 3).
    public static let unrecognizedName = Alert(rawValue: 112)
    /// The peer sent no certificate although one is required (TLS 1.3).
    public static let certificateRequired = Alert(rawValue: 116)
    /// No application protocol in common (RFC 7301).
    public static let noApplicationProtocol = Alert(rawValue: 120)
}

extension Alert: CustomStringConvertible {
    /// The name in the RFCs, or `alert(n)`.
    public var description: String { Alert.names[rawValue] ?? "alert(\(rawValue))" }

    private static let names: [UInt8: String] = [
        0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed",
        22: "record_overflow", 30: "decompression_failure", 40: "handshake_failure", 42: "bad_certificate",
        43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired",
        46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error",
        51: "decrypt_error", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
        86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation", 109: "missing_extension",
        110: "unsupported_extension", 112: "unrecognized_name", 113: "bad_certificate_status_response",
        115: "unknown_psk_identity", 116: "certificate_required", 120: "no_application_protocol",
    ]
}
