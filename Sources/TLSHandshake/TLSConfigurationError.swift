/// A configuration no context can be made from. The message is one line that says what to do; it never holds key
/// material.
public struct TLSConfigurationError: Error, Sendable, Equatable {
    /// What is wrong, for programs.
    public enum Code: String, Sendable {
        /// A file cannot be read.
        case unreadableFile
        /// The bytes are no PEM of the kind expected.
        case badPEM
        /// A private key is protected by a passphrase.
        case encryptedKey
        /// The key does not belong to the certificate.
        case keyMismatch
        /// The certificate is refused (too weak a key, an unsupported kind of key).
        case unusableCertificate
        /// A server without a certificate.
        case noCertificate
        /// Two certificates with the same kind of key claim the same name.
        case ambiguousName
        /// The bytes are no certificate revocation list.
        case badRevocationList
        /// Client certificates asked for without a CA to check them with.
        case noCertificateAuthority
        /// A suite that is unknown, or not among the supported ones.
        case unsupportedCipherSuite
        /// Suites and versions that exclude each other.
        case noUsableVersion
        /// A key-exchange group that is unknown.
        case unsupportedGroup
        /// A maximum fragment length that RFC 6066 does not have.
        case badFragmentLength
        /// A protocol name that ALPN cannot carry.
        case badApplicationProtocol
        /// A server name that is no host name or address.
        case badServerName
        /// Bytes that are no ticket keys.
        case badTicketKeys
        /// Bytes that are no stored session.
        case badSession
        /// The library failed in a way that is no fault of the configuration.
        case libraryFailure
    }

    /// What is wrong, for programs.
    public var code: Code
    /// One line that says what to do.
    public var message: String
}

extension TLSConfigurationError: CustomStringConvertible {
    /// The message.
    public var description: String { message }
}
