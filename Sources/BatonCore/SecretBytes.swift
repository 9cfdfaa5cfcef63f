internal import Libc

/// Bytes that must not outlive their owner: a traffic secret, a key, a serialised snapshot before it is sealed.
///
/// They live in one heap allocation, so moving the value moves a pointer and leaves no copy behind, and are zeroed
/// before the memory is given back. The type is noncopyable and prints only its length.
public struct SecretBytes: ~Copyable, @unchecked Sendable {
    @usableFromInline let base: UnsafeMutableRawPointer
    @usableFromInline let length: Int

    /// Length in bytes.
    @inlinable public var count: Int { length }

    /// `count` bytes, all zero until `initialize` fills them.
    public init(count: Int, initialize: (UnsafeMutableRawBufferPointer) -> Void) {
        precondition(count >= 0)
        length = count
        base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 8)
        let bytes = UnsafeMutableRawBufferPointer(start: base, count: count)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        initialize(bytes)
    }

    /// A copy of `bytes`; the caller remains responsible for the original.
    public init(copying bytes: RawSpan) {
        self.init(count: bytes.byteCount) { target in
            bytes.withUnsafeBytes { target.copyMemory(from: $0) }
        }
    }

    deinit {
        explicit_bzero(base, length)
        base.deallocate()
    }

    /// Lends the bytes. Copies made of them are the caller's to zero.
    @inlinable
    public borrowing func withUnsafeBytes<R: ~Copyable, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// A second holder of the same bytes.
    public borrowing func copy() -> SecretBytes {
        withUnsafeBytes { SecretBytes(copying: $0.bytes) }
    }
}
