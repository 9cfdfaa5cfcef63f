public import TLSRecords

/// Why a handshake ended without a connection. Whatever has to reach the peer (an alert) waits in `outgoing`.
public struct HandshakeError: Error, Sendable, Equatable {
    /// What happened, for programs.
    public enum Code: String, Sendable {
        /// The peer speaks plain HTTP.
        case plainHTTP
        /// The peer speaks something that is not TLS.
        case notTLS
        /// No version in common.
        case unsupportedVersion
        /// No suite in common.
        case noCommonCipherSuite
        /// No key-exchange group or signature algorithm in common.
        case noCommonParameters
        /// No application protocol in common.
        case noApplicationProtocol
        /// The client asks for a server name that is not served here, or for none where one is required.
        case unrecognizedName
        /// The peer's certificate is not trusted, expired, or for another name.
        case certificateRejected
        /// The peer sent no certificate although one is required.
        case certificateMissing
        /// The peer ended the handshake with an alert.
        case alertReceived
        /// The peer sent more handshake bytes than allowed.
        case tooLong
        /// The peer broke the protocol.
        case protocolViolation
        /// The peer closed the connection during the handshake.
        case closed
        /// Something failed on this side that is no fault of the peer.
        case internalFailure
    }

    /// Whose fault it is.
    public enum Fault: String, Sendable {
        /// The peer's, or a disagreement that the peer's configuration has to solve.
        case peer
        /// This side's.
        case local
    }

    /// What happened, for programs.
    public var code: Code
    /// Whose fault it is.
    public var fault: Fault
    /// The alert that this side sends, or for `alertReceived` the one that came.
    public var alert: Alert?
    /// One line that says what to do.
    public var message: String

    init(_ code: Code, fault: Fault = .peer, alert: Alert? = nil, _ message: String) {
        self.code = code
        self.fault = fault
        self.alert = alert
        self.message = message
    }
}

extension HandshakeError: CustomStringConvertible {
    /// The message.
    public var description: String { message }
}
