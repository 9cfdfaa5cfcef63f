import HostMigration
import TLSRecords

/// Reads the input as a frozen socket, which another host may have written. Each value has one spelling: what is accepted
/// must be written as it was read, but for fields of later versions, which are left out.
func fuzzFrozenSocket(_ input: UnsafeRawBufferPointer) -> CInt {
    guard let frozen = try? FrozenSocket(decoding: input.bytes) else { return 0 }
    let written = frozen.encoded()
    let isSame = written.withUnsafeBytes { $0.elementsEqual(input) }
    let again = written.withUnsafeBytes { bytes in
        do {
            return try FrozenSocket(decoding: bytes.bytes).encoded().equals(written)
        } catch {
            fatalError("what was written cannot be read: \(error)")
        }
    }
    precondition(again, "read and written are not the same")
    precondition(isSame || written.count < input.count, "a value with two spellings")
    return 0
}
