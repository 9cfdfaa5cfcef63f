/// A key exchange group (RFC 8446 section 4.2.7), under its IANA name.
package enum KeyExchangeGroup: String, Hashable, Sendable, CaseIterable {
    case x25519
    case x448
    case p256 = "secp256r1"
    case p384 = "secp384r1"
    case p521 = "secp521r1"
    case x25519MLKEM768 = "X25519MLKEM768"
}
