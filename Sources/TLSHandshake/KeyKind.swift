internal import COpenSSL

/// The kind of a certificate's key: what a client must know to accept what is signed with it.
enum KeyKind: Hashable, Sendable {
    case rsa
    /// A key that signs by RSASSA-PSS alone (RFC 8017), and with this digest alone if it says so; 4 to 6 as in the
    /// signature schemes.
    case rsaPSS(digest: UInt16?)
    /// By the number of its curve among the groups of RFC 8446 section 4.2.7; nil for one that has none there.
    case ecdsa(curve: UInt16?)
    case ed25519
    case ed448
    /// One that OpenSSL knows and this does not.
    case other

    /// OpenSSL holds one certificate of each of these at a time.
    enum Slot: Hashable {
        case rsa, rsaPSS, ecdsa, ed25519, ed448, other
    }

    var slot: Slot {
        switch self {
        case .rsa: .rsa
        case .rsaPSS: .rsaPSS
        case .ecdsa: .ecdsa
        case .ed25519: .ed25519
        case .ed448: .ed448
        case .other: .other
        }
    }

    /// Whether the suites of TLS 1.2 with `ECDSA` in their names go with it, rather than those with `RSA`; Edwards curves
    /// count as ECDSA (RFC 8422 section 5.10).
    var isRSA: Bool {
        switch slot {
        case .rsa, .rsaPSS: true
        case .ecdsa, .ed25519, .ed448, .other: false
        }
    }

    /// Whether the key can sign by this scheme (RFC 8446 section 4.2.3, RFC 5246 section 7.4.1.4.1).
    func signs(by scheme: UInt16, inTLS13: Bool) -> Bool {
        switch self {
        // In TLS 1.3 PKCS #1 signatures are only for certificates.
        case .rsa: (0x0804...0x0806).contains(scheme) || !inTLS13 && scheme & 0xFF == 1
        case .rsaPSS(let digest): (0x0809...0x080B).contains(scheme) && (digest ?? scheme - 0x0805 == scheme - 0x0805)
        case .ecdsa(let curve):
            if inTLS13 {
                // There the scheme names the curve.
                switch curve {
                case 23: scheme == 0x0403
                case 24: scheme == 0x0503
                case 25: scheme == 0x0603
                default: false
                }
            } else {
                scheme & 0xFF == 3
            }
        case .ed25519: scheme == 0x0807
        case .ed448: scheme == 0x0808
        case .other: true
        }
    }

    init(_ key: OpaquePointer) {
        if EVP_PKEY_is_a(key, "RSA-PSS") == 1 {
            self = .rsaPSS(digest: KeyKind.onlyDigest(of: key))
        } else if EVP_PKEY_is_a(key, "RSA") == 1 {
            self = .rsa
        } else if EVP_PKEY_is_a(key, "EC") == 1 {
            self = .ecdsa(curve: KeyKind.curve(of: key))
        } else if EVP_PKEY_is_a(key, "ED25519") == 1 {
            self = .ed25519
        } else if EVP_PKEY_is_a(key, "ED448") == 1 {
            self = .ed448
        } else {
            self = .other
        }
    }

    private static func curve(of key: OpaquePointer) -> UInt16? {
        var name = [CChar](repeating: 0, count: 64)
        guard EVP_PKEY_get_group_name(key, &name, name.count, nil) == 1 else { return nil }
        let text = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return ["prime256v1": 23, "secp384r1": 24, "secp521r1": 25][String(decoding: text, as: UTF8.self)]
    }

    private static func onlyDigest(of key: OpaquePointer) -> UInt16? {
        var name = [CChar](repeating: 0, count: 64)
        // 2: no other digest may be used.
        guard EVP_PKEY_get_default_digest_name(key, &name, name.count) == 2 else { return nil }
        let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).uppercased()
        return ["SHA256": 4, "SHA2-256": 4, "SHA384": 5, "SHA2-384": 5, "SHA512": 6, "SHA2-512": 6][text]
    }
}

extension KeyKind: CustomStringConvertible {
    var description: String {
        switch self {
        case .rsa: "RSA"
        case .rsaPSS: "RSA-PSS"
        case .ecdsa(23): "ECDSA P-256"
        case .ecdsa(24): "ECDSA P-384"
        case .ecdsa(25): "ECDSA P-521"
        case .ecdsa: "ECDSA"
        case .ed25519: "Ed25519"
        case .ed448: "Ed448"
        case .other: "unknown"
        }
    }
}
