/// The five bytes before every record (RFC 8446 section 5.1).
package struct RecordHeader: Sendable {
    /// Length of the header itself, in bytes.
    package static let length = 5

    /// The outer content type, unchecked.
    package var type: UInt8
    /// legacy_record_version, unchecked.
    package var version: UInt16
    /// Length of what follows, in bytes, unchecked.
    package var length: Int

    package init(type: ContentType, length: Int) {
        self.type = type.rawValue
        version = TLSVersion.tls12.rawValue
        self.length = length
    }

    /// Reads a header from the first five bytes of `bytes`; `nil` if there are fewer.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= RecordHeader.length else { return nil }
        type = bytes[0]
        version = UInt16(bytes[1]) << 8 | UInt16(bytes[2])
        length = Int(bytes[3]) << 8 | Int(bytes[4])
    }

    func write(to output: UnsafeMutableRawPointer) {
        output.storeBytes(of: type, as: UInt8.self)
        output.storeBytes(of: version.bigEndian, toByteOffset: 1, as: UInt16.self)
        output.storeBytes(of: UInt16(length).bigEndian, toByteOffset: 3, as: UInt16.self)
    }
}
