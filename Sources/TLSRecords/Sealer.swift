internal import COpenSSL

/// Seals bytes for one receiver: AES-256-GCM under the receiver's key, with the transfer, the receiver and the time of
/// expiry authenticated.
public struct Sealer: ~Copyable, Sendable {
    /// Bytes that sealing adds.
    public static let overhead = SealHeader.length + AEAD.tagLength

    private let context: AEADContext
    private let receiver: ReceiverID

    /// A sealer for the receiver that gave out `key`.
    public init(key: borrowing SealKey, receiver: ReceiverID) {
        context = key.context(for: .seal)
        self.receiver = receiver
    }

    /// Seals `plaintext`.
    ///
    /// Nonces are random, so one key should seal at most 2^32 times (NIST SP 800-38D section 8.3).
    ///
    /// - Parameters:
    ///   - plaintext: at most 2 GiB less one.
    ///   - transfer: a new id; the receiver opens it once.
    ///   - expires: milliseconds since 1970; from then on nobody opens it.
    public borrowing func seal(_ plaintext: RawSpan, transfer: TransferID, expires: UInt64) -> [UInt8] {
        precondition(plaintext.byteCount < Int(Int32.max) - Sealer.overhead)
        return [UInt8](unsafeUninitializedCapacity: plaintext.byteCount + Sealer.overhead) { output, count in
            let output = UnsafeMutableRawBufferPointer(output)
            let nonce = Nonce.random()
            SealHeader(transfer: transfer, receiver: receiver, expires: expires, nonce: nonce).write(to: output)
            let header = UnsafeRawBufferPointer(rebasing: output[..<SealHeader.length])
            let sealed = plaintext.withUnsafeBytes {
                context.seal(
                    $0, trailer: -1, nonce: nonce, additionalData: header,
                    to: output.baseAddress! + SealHeader.length)
            }
            precondition(sealed, "libcrypto could not seal")
            count = plaintext.byteCount + Sealer.overhead
        }
    }
}

extension Nonce {
    /// 96 random bits.
    static func random() -> Nonce {
        var generator = SystemRandomNumberGenerator()
        return Nonce(high: generator.next(), low: generator.next())
    }
}
