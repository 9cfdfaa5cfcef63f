import TLSRecords

@testable import Handoff

/// Reads the input as a receiver reads the plaintext of an offer. The first byte says how many descriptors came with it.
/// What could be read as a whole must be written as it was read.
func fuzzParcel(_ input: UnsafeRawBufferPointer) -> CInt {
    guard let first = input.first else { return 0 }
    // None is open, so that nothing can be closed that is not the parcel's.
    var descriptors = DescriptorSet()
    for _ in 0..<first { descriptors.append(owning: -1) }
    do throws(ParcelError) {
        let bytes = UnsafeRawBufferPointer(rebasing: input.dropFirst())
        let contents = try ParcelReader.read(bytes, descriptors: descriptors)
        precondition(contents.errors.count == contents.batch.count, "a parcel without a verdict")
        guard contents.errors.allSatisfy({ $0 == nil }) else { return 0 }
        check(contents.batch, descriptorCount: Int(first))
    } catch {
        return 0
    }
    return 0
}

/// Writes, reads and writes again: both writings must be the same bytes, with the same number of descriptors.
private func check(_ batch: borrowing ParcelBatch, descriptorCount: Int) {
    do throws(ParcelError) {
        var writer = ParcelWriter()
        let descriptors = try writer.write(batch)
        precondition(descriptors.count == descriptorCount, "descriptors were lost or made up")
        let written = writer.withBytes { Array($0) }
        let again = try written.span.bytes.withUnsafeBytes { (bytes) throws(ParcelError) in
            var descriptors = DescriptorSet()
            for _ in 0..<descriptorCount { descriptors.append(owning: -1) }
            return try ParcelReader.read(bytes, descriptors: descriptors)
        }
        precondition(again.errors.allSatisfy { $0 == nil }, "what was written cannot be read: \(again.errors)")
        var second = ParcelWriter()
        _ = try second.write(again.batch)
        precondition(second.withBytes { Array($0) } == written, "read and written are not the same")
    } catch {
        fatalError("what was read cannot be written and read again: \(error)")
    }
}
