import TLSRecords

/// Drives two ends of a connection with operations read from the input: sends, deliveries in pieces, changed bytes,
/// key updates, closes and moves. What arrives must be a prefix of what was sent, unless bytes were changed.
func fuzzRecords(_ input: UnsafeRawBufferPointer) -> CInt {
    var operations = OperationReader(input)
    guard let first = operations.next() else { return 0 }
    var ends = FuzzedEnds(suite: CipherSuite.allCases[Int(first) % CipherSuite.allCases.count])
    while let operation = operations.next() {
        ends.perform(operation, argument: operations.next() ?? 0)
    }
    return 0
}

struct OperationReader {
    private var rest: Slice<UnsafeRawBufferPointer>

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes[...] }

    mutating func next() -> UInt8? { rest.popFirst() }
}
