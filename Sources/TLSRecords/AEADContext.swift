internal import COpenSSL

/// A keyed AEAD: libcrypto's context, which holds the expanded key, and the fixed part of the nonce.
///
/// It is derived from a `DirectionState` when a record first needs it, can be dropped at any time, and comes back from
/// the same state; only the state is the connection.
struct AEADContext: ~Copyable, @unchecked Sendable {
    private let context: OpaquePointer
    // The static IV as integers: XOR with a sequence number and the split of RFC 5288 are then one instruction.
    private let ivHigh: UInt32
    private let ivLow: UInt64

    enum Direction { case seal, open }

    /// - Parameters:
    ///   - key: of the AEAD's key length.
    ///   - iv: 12 bytes, or the 4 bytes of RFC 5288's salt.
    init(_ aead: AEAD, key: UnsafeRawBufferPointer, iv: UnsafeRawBufferPointer, for direction: Direction) {
        precondition(key.count == aead.keyLength && (iv.count == 12 || iv.count == 4))
        context = EVP_CIPHER_CTX_new()
        let bytes = key.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let ok = EVP_CipherInit_ex(context, aead.cipher, nil, bytes, nil, direction == .seal ? 1 : 0)
        precondition(ok == 1, "libcrypto could not set up an AEAD")
        ivHigh = UInt32(bigEndian: iv.loadUnaligned(as: UInt32.self))
        ivLow = iv.count == 12 ? UInt64(bigEndian: iv.loadUnaligned(fromByteOffset: 4, as: UInt64.self)) : 0
    }

    deinit {
        EVP_CIPHER_CTX_free(context)
    }

    /// The nonce of record `sequence`: the static IV XOR the sequence number (RFC 8446 section 5.3, RFC 7905).
    @inline(__always)
    borrowing func nonce(sequence: UInt64) -> Nonce { Nonce(high: ivHigh, low: ivLow ^ sequence) }

    /// The nonce with an explicit part (RFC 5288 section 3).
    @inline(__always)
    borrowing func nonce(explicit: UInt64) -> Nonce { Nonce(high: ivHigh, low: explicit) }

    /// Encrypts `plaintext` and then `trailer` (-1 for none) to `output`, tag behind it.
    @inline(__always)
    borrowing func seal(
        _ plaintext: UnsafeRawBufferPointer, trailer: Int32, nonce: Nonce, additionalData: UnsafeRawBufferPointer,
        to output: UnsafeMutableRawPointer
    ) -> Bool {
        var nonce = nonce.bigEndian
        return withUnsafeBytes(of: &nonce) { nonce in
            baton_aead_seal(
                context, nonce.baseAddress!.assumingMemoryBound(to: UInt8.self),
                additionalData.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(additionalData.count),
                plaintext.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(plaintext.count), trailer,
                output.assumingMemoryBound(to: UInt8.self)) == 1
        }
    }

    /// Decrypts `count` bytes of `ciphertext`, whose tag follows them, to `output`, which may be the same memory.
    @inline(__always)
    borrowing func open(
        _ ciphertext: UnsafeRawBufferPointer, count: Int, nonce: Nonce, additionalData: UnsafeRawBufferPointer,
        to output: UnsafeMutableRawBufferPointer
    ) -> Bool {
        precondition(ciphertext.count >= count + AEAD.tagLength && output.count >= count)
        var nonce = nonce.bigEndian
        return withUnsafeBytes(of: &nonce) { nonce in
            baton_aead_open(
                context, nonce.baseAddress!.assumingMemoryBound(to: UInt8.self),
                additionalData.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(additionalData.count),
                ciphertext.baseAddress!.assumingMemoryBound(to: UInt8.self), Int32(count),
                output.baseAddress?.assumingMemoryBound(to: UInt8.self)) == 1
        }
    }
}
