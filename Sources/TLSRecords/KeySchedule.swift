package import BatonCore
internal import COpenSSL

/// The derivations an established connection still needs: the last steps of the TLS 1.3 key schedule (RFC 8446 section
/// 7) and the PRF of TLS 1.2 (RFC 5246 section 5). Everything before them is the handshake library's work.
package enum KeySchedule {
    /// HKDF-Expand-Label (RFC 8446 section 7.1), at most 255 times the hash's length.
    package static func expandLabel(
        _ label: StaticString, secret: borrowing SecretBytes, context: [UInt8] = [], length: Int, hash: HashFunction
    ) -> SecretBytes {
        let label = UnsafeRawBufferPointer(start: label.utf8Start, count: label.utf8CodeUnitCount)
        return expand(label, secret: secret, context: context, length: length, hash: hash)
    }

    /// The secret after `secret` (RFC 8446 section 7.2).
    package static func nextTrafficSecret(after secret: borrowing SecretBytes, hash: HashFunction) -> SecretBytes {
        expandLabel("traffic upd", secret: secret, length: hash.length, hash: hash)
    }

    /// Exported keying material, from a secret in the form `Snapshot` carries it.
    static func export(
        secret: borrowing SecretBytes, label: String, context: [UInt8]?, length: Int, suite: CipherSuite
    ) -> SecretBytes {
        switch suite.version {
        case .tls13:
            exportTLS13(secret: secret, label: label, context: context ?? [], length: length, hash: suite.hash)
        case .tls12:
            exportTLS12(secret: secret, label: label, context: context, length: length, hash: suite.hash)
        }
    }

    /// RFC 5705 section 4: the context, if there is one, follows the randoms with its length.
    private static func exportTLS12(
        secret: borrowing SecretBytes, label: String, context: [UInt8]?, length: Int, hash: HashFunction
    ) -> SecretBytes {
        let suffix = context.map {
            [UInt8(truncatingIfNeeded: $0.count >> 8), UInt8(truncatingIfNeeded: $0.count)] + $0
        }
        return secret.withUnsafeBytes { bytes in
            prf(
                secret: UnsafeRawBufferPointer(rebasing: bytes[..<TLS12Exporter.masterSecretLength]), label: label,
                seed: Array(bytes[TLS12Exporter.masterSecretLength...]) + (suffix ?? []), length: length, hash: hash)
        }
    }

    /// RFC 8446 section 7.5.
    private static func exportTLS13(
        secret: borrowing SecretBytes, label: String, context: [UInt8], length: Int, hash: HashFunction
    ) -> SecretBytes {
        let emptyHash = hash.hash(UnsafeRawBufferPointer(start: nil, count: 0))
        let label = Array(label.utf8)
        let derived = label.span.bytes.withUnsafeBytes {
            expand($0, secret: secret, context: emptyHash, length: hash.length, hash: hash)
        }
        let digest = context.withUnsafeBytes { hash.hash($0) }
        return expandLabel("exporter", secret: derived, context: digest, length: length, hash: hash)
    }

    /// PRF(secret, label, seed) of TLS 1.2.
    package static func prf(
        secret: UnsafeRawBufferPointer, label: String, seed: [UInt8], length: Int, hash: HashFunction
    ) -> SecretBytes {
        let labelled = Array(label.utf8) + seed
        return SecretBytes(count: length) { output in
            let ok = baton_tls12_prf(
                hash.name, secret.baseAddress?.assumingMemoryBound(to: UInt8.self), secret.count, labelled,
                labelled.count, output.baseAddress?.assumingMemoryBound(to: UInt8.self), output.count)
            precondition(ok == 1, "libcrypto could not compute the TLS 1.2 PRF")
        }
    }

    /// The write keys of both sides of a TLS 1.2 connection (RFC 5246 section 6.3), each as the key followed by its
    /// implicit nonce, which is the form `DirectionState.secret` has.
    package static func tls12Keys(
        master: UnsafeRawBufferPointer, clientRandom: [UInt8], serverRandom: [UInt8], suite: CipherSuite
    ) -> TLS12Keys {
        let key = suite.aead.keyLength
        let nonce = suite.aead.tls12ImplicitNonceLength
        let block = prf(
            secret: master, label: "key expansion", seed: serverRandom + clientRandom, length: 2 * (key + nonce),
            hash: suite.hash)
        func part(keyAt keyOffset: Int, nonceAt nonceOffset: Int) -> SecretBytes {
            block.withUnsafeBytes { block in
                SecretBytes(count: key + nonce) { target in
                    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: block[keyOffset..<keyOffset + key]))
                    UnsafeMutableRawBufferPointer(rebasing: target[key...]).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: block[nonceOffset..<nonceOffset + nonce]))
                }
            }
        }
        return TLS12Keys(
            client: part(keyAt: 0, nonceAt: 2 * key), server: part(keyAt: key, nonceAt: 2 * key + nonce))
    }

    /// HKDF-Expand (RFC 5869 section 2.3) with HkdfLabel as its info: length, "tls13 " + label, context.
    private static func expand(
        _ label: UnsafeRawBufferPointer, secret: borrowing SecretBytes, context: [UInt8], length: Int,
        hash: HashFunction
    ) -> SecretBytes {
        precondition(length <= 255 * hash.length && label.count <= 249 && context.count <= 255)
        // The block before, the info, the counter; then the block that is being made.
        return withUnsafeTemporaryAllocation(byteCount: 64 + 2 + 1 + 255 + 1 + 255 + 1 + 64, alignment: 8) { scratch in
            defer { OPENSSL_cleanse(scratch.baseAddress, scratch.count) }
            let before = UnsafeMutableRawBufferPointer(rebasing: scratch[..<hash.length])
            let block = UnsafeMutableRawBufferPointer(rebasing: scratch[(scratch.count - 64)...])
            var end = hash.length
            func put(_ byte: UInt8) {
                scratch[end] = byte
                end += 1
            }
            put(UInt8(length >> 8))
            put(UInt8(length & 0xFF))
            put(UInt8(6 + label.count))
            for byte in "tls13 ".utf8 { put(byte) }
            for byte in label { put(byte) }
            put(UInt8(context.count))
            for byte in context { put(byte) }
            return SecretBytes(count: length) { output in
                var position = 0
                var counter: UInt8 = 0
                while position < length {
                    counter += 1
                    scratch[end] = counter
                    let message = UnsafeRawBufferPointer(
                        rebasing: UnsafeRawBufferPointer(scratch)[(counter == 1 ? hash.length : 0)...end])
                    secret.withUnsafeBytes { hash.authenticate(message, key: $0, to: block.baseAddress!) }
                    let count = min(hash.length, length - position)
                    UnsafeMutableRawBufferPointer(rebasing: output[position...]).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(block)[..<count]))
                    before.copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(block)[..<hash.length]))
                    position += count
                }
            }
        }
    }
}
