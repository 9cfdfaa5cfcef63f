public import BatonCore
internal import COpenSSL
internal import TLSRecords

/// The keys under which a server's session tickets are sealed: the current one, and older ones that still open tickets.
///
/// Every process that shares them resumes the others' sessions. Rotate at least once a day: whoever has a ticket key
/// reads the TLS 1.2 connections that were resumed under it.
///
/// The serialised form is a run of 80-byte keys, the current one first. Each is a 16-byte name, a 32-byte key for
/// HMAC-SHA-256 and a 32-byte key for AES-256-CBC (RFC 5077 section 4), the layout of nginx's `ssl_session_ticket_key`.
public struct TicketKeys: ~Copyable, Sendable {
    /// Bytes of one serialised key.
    public static let keyLength = 80
    /// The most keys kept, the current one included.
    public static let maximumCount = 16

    static let nameLength = 16

    private let bytes: SecretBytes

    /// One new random key.
    public static func random() -> TicketKeys {
        TicketKeys(SecretBytes(count: keyLength, initialize: fillRandom))
    }

    /// Keys from their serialised form.
    ///
    /// - Throws: `badTicketKeys` unless it is 1 to 16 keys of 80 bytes with different names.
    public init(copying serialised: RawSpan) throws(TLSConfigurationError) {
        let count = serialised.byteCount / TicketKeys.keyLength
        guard serialised.byteCount % TicketKeys.keyLength == 0, (1...TicketKeys.maximumCount).contains(count) else {
            throw TLSConfigurationError(
                code: .badTicketKeys,
                message: "ticket keys take 80 bytes each, 1 to 16 of them; these are \(serialised.byteCount) bytes")
        }
        let names = serialised.withUnsafeBytes { all in
            Set((0..<count).map { Array(all[$0 * TicketKeys.keyLength..<$0 * TicketKeys.keyLength + 16]) })
        }
        guard names.count == count else {
            throw TLSConfigurationError(
                code: .badTicketKeys, message: "two ticket keys have the same name; give each key once")
        }
        self.init(SecretBytes(copying: serialised))
    }

    private init(_ bytes: consuming SecretBytes) { self.bytes = bytes }

    /// How many keys there are.
    public var count: Int { bytes.count / TicketKeys.keyLength }

    /// The name of the key that seals new tickets, 16 bytes. It is sent in the clear and is no secret.
    public var currentName: [UInt8] { bytes.withUnsafeBytes { Array($0[0..<TicketKeys.nameLength]) } }

    /// The serialised form. Whoever has it opens every ticket; give it only to those who share the keys.
    public borrowing func serialised() -> SecretBytes { bytes.copy() }

    /// A second holder of the same keys.
    public borrowing func copy() -> TicketKeys { TicketKeys(bytes.copy()) }

    /// The same keys behind a new current one. The oldest go once there are more than `keeping` older ones, 0 to 15.
    public borrowing func rotated(keeping: Int = 2) -> TicketKeys {
        let kept = min(max(keeping, 0), TicketKeys.maximumCount - 1, count)
        return TicketKeys(
            SecretBytes(count: (kept + 1) * TicketKeys.keyLength) { target in
                TicketKeys.fillRandom(UnsafeMutableRawBufferPointer(rebasing: target[0..<TicketKeys.keyLength]))
                bytes.withUnsafeBytes { old in
                    UnsafeMutableRawBufferPointer(rebasing: target[TicketKeys.keyLength...])
                        .copyMemory(from: UnsafeRawBufferPointer(rebasing: old[0..<kept * TicketKeys.keyLength]))
                }
            })
    }

    /// Where the key called `name` stands, 0 being the current one.
    borrowing func index(named name: UnsafeRawBufferPointer) -> Int? {
        bytes.withUnsafeBytes { all in
            (0..<count).first { position in
                let start = position * TicketKeys.keyLength
                return UnsafeRawBufferPointer(rebasing: all[start..<start + TicketKeys.nameLength])
                    .elementsEqual(name)
            }
        }
    }

    /// Lends the parts of one key.
    borrowing func withKey<R>(
        at index: Int, _ body: (_ mac: UnsafePointer<UInt8>, _ cipher: UnsafePointer<UInt8>) -> R
    ) -> R {
        precondition(index >= 0 && index < count)
        return bytes.withUnsafeBytes { all in
            all.withMemoryRebound(to: UInt8.self) { all in
                // Never empty: there is at least one key.
                let start = all.baseAddress! + index * TicketKeys.keyLength
                return body(start + 16, start + 48)
            }
        }
    }

    private static func fillRandom(_ bytes: UnsafeMutableRawBufferPointer) {
        let filled = RAND_priv_bytes(bytes.bindMemory(to: UInt8.self).baseAddress, Int32(bytes.count))
        // Without randomness no key is safe, and there is nothing to fall back to.
        precondition(filled == 1, "the system's random generator failed")
    }
}
