internal import TLSRecords

/// Reads arbitrary bytes as a receiver reads the plaintext of an offer. The first byte says how many descriptors came.
package func fuzzParcelReader(_ bytes: UnsafeRawBufferPointer) {
    guard let first = bytes.first else { return }
    var descriptors = DescriptorSet()
    for _ in 0..<first { descriptors.append(owning: -1) }
    do throws(ParcelError) {
        let contents = try ParcelReader.read(
            UnsafeRawBufferPointer(rebasing: bytes.dropFirst()), descriptors: descriptors)
        precondition(contents.errors.count == contents.batch.count)
        // What could be read must be writable, and mean the same when it is read again.
        guard contents.errors.allSatisfy({ $0 == nil }) else { return }
        var writer = ParcelWriter()
        let count = try writer.write(contents.batch).count
        precondition(count == Int(first))
    } catch {
        return
    }
}
