/// A 96-bit AEAD nonce.
package struct Nonce: Hashable, Sendable {
    var high: UInt32
    var low: UInt64

    /// The twelve bytes in network order.
    var bigEndian: (UInt32, UInt32, UInt32) {
        (high.bigEndian, UInt32(truncatingIfNeeded: low >> 32).bigEndian, UInt32(truncatingIfNeeded: low).bigEndian)
    }
}
