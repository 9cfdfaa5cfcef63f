/// Reads what `ByteQueue.appendField` writes, field by field, tags strictly ascending.
package struct FieldReader {
    /// What the bytes themselves can be wrong about.
    package enum Failure: Error, Equatable {
        /// The bytes end inside a field.
        case cutOff
        /// A tag that is not greater than the one before it.
        case outOfOrder(UInt8)
    }

    /// A tag and where its value lies.
    package struct Field {
        package var tag: UInt8
        package var value: UnsafeRawBufferPointer

        /// The value as an integer; `nil` if its length is another.
        package func integer<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> T? {
            guard value.count == MemoryLayout<T>.size else { return nil }
            return T(bigEndian: value.loadUnaligned(as: T.self))
        }

        /// The value as text; `nil` if it is not valid UTF-8 or its length is out of range.
        package func string(_ lengths: ClosedRange<Int>) -> String? {
            guard lengths.contains(value.count) else { return nil }
            return String(validating: value, as: UTF8.self)
        }
    }

    private var source: WireReader
    private var last: UInt8?

    package init(_ source: UnsafeRawBufferPointer) { self.source = WireReader(source) }

    /// The next field; `nil` at the end.
    package mutating func next() throws(Failure) -> Field? {
        guard !source.isAtEnd else { return nil }
        guard let tag = source.uint8(), let length = source.uint32(), let value = source.bytes(Int(length)) else {
            throw .cutOff
        }
        if let last, tag <= last { throw .outOfOrder(tag) }
        last = tag
        return Field(tag: tag, value: value)
    }
}
