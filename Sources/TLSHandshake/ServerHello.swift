internal import BatonCore
internal import TLSRecords

/// What the plaintext ServerHello settles (RFC 8446 section 4.1.3, RFC 5246 section 7.4.1.3).
struct ServerHello {
    /// The version on the wire, from `supported_versions` where it is present.
    var version: UInt16
    var random: [UInt8]
    var suite: UInt16
    /// RFC 7627.
    var usesExtendedMasterSecret = false
    /// The code of RFC 6066 section 4; in TLS 1.3 the library has to be asked, the answer being encrypted there.
    var maximumFragmentLengthCode: UInt8?

    /// A HelloRetryRequest is a ServerHello with this random.
    var isHelloRetryRequest: Bool { random == ServerHello.helloRetryRequestRandom }

    /// SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
    private static let helloRetryRequestRandom: [UInt8] = [
        0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
        0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
    ]

    /// Reads the body of the message; `nil` if a field is missing or does not fit its length.
    init?(_ body: UnsafeRawBufferPointer) {
        var reader = WireReader(body)
        guard let legacyVersion = reader.uint16(), let random = reader.bytes(32), let sessionID = reader.vector8(),
            sessionID.count <= 32, let suite = reader.uint16(), reader.uint8() != nil
        else { return nil }
        version = legacyVersion
        self.random = Array(random)
        self.suite = suite
        guard !reader.isAtEnd else { return }
        guard let extensions = reader.vector16(), reader.isAtEnd else { return nil }
        var list = WireReader(extensions)
        while !list.isAtEnd {
            guard let type = list.uint16(), let content = list.vector16() else { return nil }
            switch type {
            case 1: maximumFragmentLengthCode = content.count == 1 ? content[0] : nil
            case 23: usesExtendedMasterSecret = true
            case 43:
                guard content.count == 2 else { return nil }
                version = UInt16(content[0]) << 8 | UInt16(content[1])
            default: break
            }
        }
    }
}
