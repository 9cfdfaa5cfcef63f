/// The shape of the handshake messages that may follow a handshake (RFC 8446 section 4).
enum HandshakeMessage {
    static let headerLength = 4

    /// Longer than any legal NewSessionTicket (RFC 8446 section 4.6.1): its fixed fields and three full vectors.
    static let longest = 4 + 4 + 1 + 255 + 2 + 65_535 + 2 + 65_534

    enum Kind: UInt8 {
        case helloRequest = 0
        case clientHello = 1
        case newSessionTicket = 4
        case keyUpdate = 24
    }

    /// Whether a message may follow the handshake: a KeyUpdate, to a client a NewSessionTicket (RFC 8446 section 4.6), and
    /// in TLS 1.2 what asks for renegotiation. Post-handshake authentication is never offered.
    static func isExpected(_ kind: UInt8, _ version: TLSVersion, _ role: Role) -> Bool {
        switch (Kind(rawValue: kind), version, role) {
        case (.keyUpdate, .tls13, _), (.newSessionTicket, .tls13, .client): true
        case (.helloRequest, .tls12, .client), (.clientHello, .tls12, .server): true
        default: false
        }
    }

    struct Header {
        var kind: UInt8
        var length: Int

        /// - Parameter bytes: at least four.
        init(_ bytes: UnsafeRawBufferPointer) {
            kind = bytes[0]
            length = Int(bytes[1]) << 16 | Int(bytes[2]) << 8 | Int(bytes[3])
        }
    }
}
