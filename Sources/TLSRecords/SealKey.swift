internal import BatonCore
internal import COpenSSL

/// A 256-bit key that snapshots and parcels are sealed under. It belongs to one `Unsealer`
/// and lives no longer: what was opened is remembered in memory, so a key that outlived its process would open a transfer
/// twice.
public struct SealKey: ~Copyable, Sendable {
    /// Length in bytes.
    public static let length = 32

    private let bytes: SecretBytes

    /// A new key from the system's random source.
    public static func random() -> SealKey {
        SealKey(
            SecretBytes(count: length) { target in
                let ok = RAND_priv_bytes(target.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(target.count))
                precondition(ok == 1, "libcrypto has no random bytes")
            })
    }

    private init(_ bytes: consuming SecretBytes) { self.bytes = bytes }

    /// A key somebody else made; `nil` unless there are 32 bytes.
    public init?(copying bytes: RawSpan) {
        guard bytes.byteCount == SealKey.length else { return nil }
        self.bytes = SecretBytes(copying: bytes)
    }

    /// Lends the key, to be sent to the one who seals.
    public borrowing func withUnsafeBytes<R, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try bytes.withUnsafeBytes(body)
    }

    /// A cipher context under this key.
    borrowing func context(for direction: AEADContext.Direction) -> AEADContext {
        withUnsafeTemporaryAllocation(byteCount: 12, alignment: 4) { iv in
            iv.initializeMemory(as: UInt8.self, repeating: 0)
            return bytes.withUnsafeBytes {
                AEADContext(.aes256GCM, key: $0, iv: UnsafeRawBufferPointer(iv), for: direction)
            }
        }
    }
}
