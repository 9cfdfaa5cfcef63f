/// Reads big-endian fields from bytes somebody else wrote; every length is checked before it is used.
package struct WireReader {
    private let source: UnsafeRawBufferPointer
    private var position = 0

    package init(_ source: UnsafeRawBufferPointer) { self.source = source }

    package var remaining: Int { source.count - position }
    package var isAtEnd: Bool { remaining == 0 }

    package mutating func bytes(_ n: Int) -> UnsafeRawBufferPointer? {
        guard n >= 0, n <= remaining else { return nil }
        defer { position += n }
        return UnsafeRawBufferPointer(rebasing: source[position..<position + n])
    }

    package mutating func uint8() -> UInt8? { integer(UInt8.self) }
    package mutating func uint16() -> UInt16? { integer(UInt16.self) }
    package mutating func uint32() -> UInt32? { integer(UInt32.self) }
    package mutating func uint64() -> UInt64? { integer(UInt64.self) }

    private mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> T? {
        guard let bytes = bytes(MemoryLayout<T>.size) else { return nil }
        return T(bigEndian: bytes.loadUnaligned(as: T.self))
    }
}
