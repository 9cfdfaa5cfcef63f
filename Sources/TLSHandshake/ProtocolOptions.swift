public import TLSRecords

/// What both sides of a handshake may agree on.
public struct ProtocolOptions: Sendable {
    /// The oldest version accepted.
    public var minimumVersion: TLSVersion
    /// The newest version accepted.
    public var maximumVersion: TLSVersion
    /// The suites accepted, the preferred first.
    public var cipherSuites: [CipherSuite]
    /// Key-exchange groups by OpenSSL's names (`X25519`, `P-256`, `P-384`, `X448`, …), the preferred first; empty means
    /// the library's default.
    public var groups: [String]
    /// Application protocols (ALPN), the preferred first, 1 to 255 bytes each; empty means that ALPN is not used.
    public var applicationProtocols: [String]

    /// TLS 1.2 and 1.3 with all supported suites unless told otherwise.
    public init(
        minimumVersion: TLSVersion = .tls12, maximumVersion: TLSVersion = .tls13,
        cipherSuites: [CipherSuite] = ProtocolOptions.defaultCipherSuites, groups: [String] = [],
        applicationProtocols: [String] = []
    ) {
        self.minimumVersion = minimumVersion
        self.maximumVersion = maximumVersion
        self.cipherSuites = cipherSuites
        self.groups = groups
        self.applicationProtocols = applicationProtocols
    }

    /// Every supported suite; AES-256-GCM first, as OpenSSL has it.
    public static let defaultCipherSuites: [CipherSuite] = [
        .aes256GCM, .chaCha20Poly1305, .aes128GCM,
        .ecdheECDSAWithAES256GCM, .ecdheRSAWithAES256GCM,
        .ecdheECDSAWithChaCha20Poly1305, .ecdheRSAWithChaCha20Poly1305,
        .ecdheECDSAWithAES128GCM, .ecdheRSAWithAES128GCM,
    ]
}
