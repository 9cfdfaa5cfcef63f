import BatonCore
import TLSRecords

/// Reads the input as a snapshot. What is accepted must be written as it was read, and must run.
func fuzzSnapshot(_ input: UnsafeRawBufferPointer) -> CInt {
    guard let snapshot = try? Snapshot(decoding: input.bytes) else { return 0 }
    let written = snapshot.encoded()
    let again = decoded(written).encoded()
    precondition(again.equals(written), "read and written are not the same")
    var connection = Connection(resuming: decoded(again))
    connection.receive(input.bytes)
    while let event = try? connection.nextEvent() {
        if case .applicationData(let count) = event { connection.consumeUnread(count) }
    }
    try? connection.send(input.bytes)
    try? connection.updateKeys()
    connection.close()
    _ = connection.suspend().encoded()
    return 0
}

/// What was written can be read.
private func decoded(_ written: borrowing SecretBytes) -> Snapshot {
    do {
        return try written.withUnsafeBytes { (bytes) throws(SnapshotError) in try Snapshot(decoding: bytes.bytes) }
    } catch {
        fatalError("what was written cannot be read: \(error)")
    }
}
