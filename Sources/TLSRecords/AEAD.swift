internal import COpenSSL

/// The three AEADs of the supported suites.
package enum AEAD: Sendable {
    case aes128GCM
    case aes256GCM
    case chaCha20Poly1305

    /// Bytes of tag behind every ciphertext.
    package static let tagLength = 16

    /// Key length in bytes.
    package var keyLength: Int { self == .aes128GCM ? 16 : 32 }

    /// Bytes of nonce that come from the key block in TLS 1.2: the salt of RFC 5288, the whole IV of RFC 7905.
    package var tls12ImplicitNonceLength: Int { self == .chaCha20Poly1305 ? 12 : 4 }

    /// Bytes of nonce sent with each record in TLS 1.2 (RFC 5288 section 3).
    package var tls12ExplicitNonceLength: Int { self == .chaCha20Poly1305 ? 0 : 8 }

    /// How many 16-byte blocks one key may protect: 2^24.5 full records of 2^10 blocks for AES-GCM (RFC 8446 section
    /// 5.5), rounded down to a power of two. ChaCha20-Poly1305 has no limit that can be reached.
    package var defaultBlockLimit: UInt64 { self == .chaCha20Poly1305 ? .max : 1 << 34 }

    /// The cipher as libcrypto knows it, fetched once: an implicit fetch on every use costs a lock and a lookup.
    var cipher: OpaquePointer? {
        switch self {
        case .aes128GCM: AEAD.fetchedAES128GCM.pointer
        case .aes256GCM: AEAD.fetchedAES256GCM.pointer
        case .chaCha20Poly1305: AEAD.fetchedChaCha20Poly1305.pointer
        }
    }

    private struct FetchedCipher: @unchecked Sendable {
        let pointer: OpaquePointer?
        init(_ name: String) { pointer = EVP_CIPHER_fetch(nil, name, nil) }
    }

    private static let fetchedAES128GCM = FetchedCipher("AES-128-GCM")
    private static let fetchedAES256GCM = FetchedCipher("AES-256-GCM")
    private static let fetchedChaCha20Poly1305 = FetchedCipher("ChaCha20-Poly1305")
}
