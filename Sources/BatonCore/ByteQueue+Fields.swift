/// Tag-length-value fields: a tag byte, a 32-bit length, the value; integers big-endian. `FieldReader` reads them.
extension ByteQueue {
    package mutating func appendField(_ tag: UInt8, _ value: UnsafeRawBufferPointer) {
        append(minimum: 5 + value.count) { space in
            space[0] = tag
            space.storeBytes(of: UInt32(value.count).bigEndian, toByteOffset: 1, as: UInt32.self)
            UnsafeMutableRawBufferPointer(rebasing: space[5...]).copyMemory(from: value)
            return 5 + value.count
        }
    }

    package mutating func appendField<T: FixedWidthInteger & BitwiseCopyable>(_ tag: UInt8, _ value: T) {
        withUnsafeBytes(of: value.bigEndian) { appendField(tag, $0) }
    }

    package mutating func appendField(_ tag: UInt8, _ value: String) {
        var value = value
        value.withUTF8 { appendField(tag, UnsafeRawBufferPointer($0)) }
    }

    package mutating func appendField(_ tag: UInt8, _ value: [UInt8]) {
        value.withUnsafeBytes { appendField(tag, $0) }
    }

    package mutating func appendField(_ tag: UInt8, _ value: borrowing SecretBytes) {
        value.withUnsafeBytes { appendField(tag, $0) }
    }
}
