internal import COpenSSL

/// The hash of a suite's key schedule.
package enum HashFunction: Sendable {
    case sha256
    case sha384

    /// Output length in bytes.
    package var length: Int { self == .sha256 ? 32 : 48 }

    /// The name libcrypto's key derivation functions take.
    var name: String { self == .sha256 ? "SHA256" : "SHA384" }

    private var hmac: OpaquePointer? {
        self == .sha256 ? HashFunction.hmacSHA256.pointer : HashFunction.hmacSHA384.pointer
    }

    var digest: OpaquePointer? {
        self == .sha256 ? HashFunction.fetchedSHA256.pointer : HashFunction.fetchedSHA384.pointer
    }

    /// HMAC of `message` under `key`, written to the first `length` bytes of `output`.
    func authenticate(
        _ message: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer, to output: UnsafeMutableRawPointer
    ) {
        let written = baton_hmac(
            hmac, key.baseAddress?.assumingMemoryBound(to: UInt8.self), key.count,
            message.baseAddress?.assumingMemoryBound(to: UInt8.self), message.count,
            output.assumingMemoryBound(to: UInt8.self), length)
        // libcrypto fails here only when it has no memory or no digest; going on would use an undefined key.
        precondition(written == length, "libcrypto could not compute an HMAC")
    }

    /// The hash of `message`.
    package func hash(_ message: UnsafeRawBufferPointer) -> [UInt8] {
        var written: UInt32 = 0
        let output = [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
            let ok = EVP_Digest(message.baseAddress, message.count, buffer.baseAddress, &written, digest, nil)
            precondition(ok == 1, "libcrypto could not compute a hash")
            count = Int(written)
        }
        return output
    }

    private struct FetchedDigest: @unchecked Sendable {
        let pointer: OpaquePointer?
        init(_ name: String) { pointer = EVP_MD_fetch(nil, name, nil) }
    }

    private struct UnkeyedHMAC: @unchecked Sendable {
        let pointer: OpaquePointer?
        init(_ digest: String) { pointer = baton_hmac_new(digest) }
    }

    private static let hmacSHA256 = UnkeyedHMAC(HashFunction.sha256.name)
    private static let hmacSHA384 = UnkeyedHMAC(HashFunction.sha384.name)
    private static let fetchedSHA256 = FetchedDigest("SHA256")
    private static let fetchedSHA384 = FetchedDigest("SHA384")
}
