/// A cipher suite whose record protection is implemented here: the AEAD suites of TLS 1.3 (RFC 8446 appendix B.4) and
/// the ECDHE suites of TLS 1.2 with the same AEADs (RFC 5289, RFC 7905). The raw value is the code on the wire.
public enum CipherSuite: UInt16, Sendable, CaseIterable {
    case aes128GCM = 0x1301
    case aes256GCM = 0x1302
    case chaCha20Poly1305 = 0x1303
    case ecdheECDSAWithAES128GCM = 0xC02B
    case ecdheECDSAWithAES256GCM = 0xC02C
    case ecdheRSAWithAES128GCM = 0xC02F
    case ecdheRSAWithAES256GCM = 0xC030
    case ecdheRSAWithChaCha20Poly1305 = 0xCCA8
    case ecdheECDSAWithChaCha20Poly1305 = 0xCCA9
}

extension CipherSuite {
    /// The one version this suite belongs to.
    public var version: TLSVersion { rawValue >> 8 == 0x13 ? .tls13 : .tls12 }

    /// The AEAD that protects records.
    package var aead: AEAD {
        switch self {
        case .aes128GCM, .ecdheECDSAWithAES128GCM, .ecdheRSAWithAES128GCM: .aes128GCM
        case .aes256GCM, .ecdheECDSAWithAES256GCM, .ecdheRSAWithAES256GCM: .aes256GCM
        case .chaCha20Poly1305, .ecdheRSAWithChaCha20Poly1305, .ecdheECDSAWithChaCha20Poly1305: .chaCha20Poly1305
        }
    }

    /// The hash of the suite's key schedule (TLS 1.3) or PRF (TLS 1.2).
    package var hash: HashFunction { aead == .aes256GCM ? .sha384 : .sha256 }
}

extension CipherSuite: CustomStringConvertible {
    /// The IANA name.
    public var description: String {
        switch self {
        case .aes128GCM: "TLS_AES_128_GCM_SHA256"
        case .aes256GCM: "TLS_AES_256_GCM_SHA384"
        case .chaCha20Poly1305: "TLS_CHACHA20_POLY1305_SHA256"
        case .ecdheECDSAWithAES128GCM: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
        case .ecdheECDSAWithAES256GCM: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
        case .ecdheRSAWithAES128GCM: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
        case .ecdheRSAWithAES256GCM: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
        case .ecdheRSAWithChaCha20Poly1305: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
        case .ecdheECDSAWithChaCha20Poly1305: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
        }
    }
}

extension CipherSuite {
    /// Whether each record carries part of its nonce: AES-GCM in TLS 1.2 (RFC 5288 section 3).
    package var usesExplicitNonce: Bool { version == .tls12 && aead.tls12ExplicitNonceLength > 0 }
}
