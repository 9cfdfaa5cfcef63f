internal import COpenSSL

/// The hash of a suite's key schedule.
package enum HashFunction: Sendable {
    case sha256
    case sha384

    /// Output length in bytes.
    package var length: Int { self == .sha256 ? 32 : 48 }

    /// The name libcrypto's key derivation functions take.
    var name: String { self == .sha256 ? "SHA256" : "SHA384" }

    var digest: OpaquePointer? {
        self == .sha256 ? HashFunction.fetchedSHA256.pointer : HashFunction.fetchedSHA384.pointer
    }

    /// HMAC of `message` under `key`, written to the first `length` bytes of `output`.
    func authenticate(
        _ message: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer, to output: UnsafeMutableRawPointer
    ) {
        var written: UInt32 = 0
        let result = HMAC(
            digest, key.baseAddress, Int32(key.count), message.baseAddress?.assumingMemoryBound(to: UInt8.self),
            message.count, output.assumingMemoryBound(to: UInt8.self), &written)
        // libcrypto fails here only when it has no memory or no digest; going on would use an undefined key.
        precondition(result != nil && written == length, "libcrypto could not compute an HMAC")
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

    private static let fetchedSHA256 = FetchedDigest("SHA256")
    private static let fetchedSHA384 = FetchedDigest("SHA384")
}
