internal import BatonCore
internal import TLSRecords

extension WireReader {
    /// The three-byte length of a handshake message (RFC 8446 section 4).
    mutating func uint24() -> Int? {
        guard let high = uint8(), let low = uint16() else { return nil }
        return Int(high) << 16 | Int(low)
    }

    /// A vector with a length of one byte before it (RFC 8446 section 3.4).
    mutating func vector8() -> UnsafeRawBufferPointer? { uint8().flatMap { bytes(Int($0)) } }

    /// A vector with a length of two bytes before it.
    mutating func vector16() -> UnsafeRawBufferPointer? { uint16().flatMap { bytes(Int($0)) } }
}
