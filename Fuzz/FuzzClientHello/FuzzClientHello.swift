import TLSHandshake

/// Reads the input as the first bytes of a client, whole and in prefixes: a hello does not change when bytes follow it,
/// and what can never become a hello stays so.
func fuzzClientHello(_ input: UnsafeRawBufferPointer) -> CInt {
    let whole = ClientHelloReading(input.bytes)
    // As if the last bytes had not arrived yet; at most 64 readings, spread over the input.
    for count in stride(from: 0, to: input.count, by: max(1, input.count / 64)) {
        switch ClientHelloReading(UnsafeRawBufferPointer(rebasing: input[..<count]).bytes) {
        case .needMore: continue
        case .hello(let hello): precondition(whole == .hello(hello), "a hello changed when more bytes came")
        case .notTLS:
            guard case .notTLS = whole else { fatalError("what was refused became acceptable when more bytes came") }
        }
    }
    guard case .hello = whole else { return 0 }
    var longer = Array(input)
    longer.append(0)
    precondition(ClientHelloReading(longer.span.bytes) == whole, "a hello changed when a byte followed it")
    return 0
}
