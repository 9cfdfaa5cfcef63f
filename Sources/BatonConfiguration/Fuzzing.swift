/// Reads `input` as a PROXY protocol header, whole and byte by byte. Both must come to the same end, no header may be
/// longer than its bytes, and what was read must survive writing. A broken rule traps.
package func fuzzProxyHeader(_ input: UnsafeRawBufferPointer) {
    func read(_ count: Int) -> Result<ProxyProtocolHeader.Reading, ProxyProtocolError> {
        Result { () throws(ProxyProtocolError) in
            try ProxyProtocolHeader.read(UnsafeRawBufferPointer(rebasing: input.prefix(count)).bytes)
        }
    }
    let whole = read(input.count)
    if let piece = (0...min(input.count, 300)).lazy.map(read).first(where: { $0 != .success(.incomplete) }) {
        precondition(piece == whole, "the end depends on how the bytes were cut")
    }
    guard case .success(.complete(let header, let length)) = whole else { return }
    precondition(1...input.count ~= length, "a header longer than its bytes")
    for version in ProxyProtocolHeader.Version.allCases {
        let written = header.encoded(version)
        guard let again = try? ProxyProtocolHeader.read(written.span.bytes),
            case .complete(let same, written.count) = again
        else { preconditionFailure("a header that was just written cannot be read") }
        precondition(same.encoded(version) == written, "writing is not stable")
    }
}

/// Speaks `input` to each plain preface: the first byte picks the protocol and how the rest is cut. Nothing may follow
/// the end, TLS never begins with bytes that came in the plain part, and every answer is bounded. A broken rule traps.
package func fuzzPlainPreface(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let kind = PlainPreface.Kind.allCases[Int(first) % PlainPreface.Kind.allCases.count]
    let size = Int(first >> 2) + 1
    var preface = PlainPreface(kind, hostName: "mx.example")
    var rest = input.dropFirst()
    var answered = 0
    while !rest.isEmpty {
        let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(size))
        let step = preface.receive(piece.bytes)
        rest = rest.dropFirst(size)
        answered += step.reply.count
        precondition(answered <= 1 << 20, "an answer out of proportion")
        switch step.next {
        case .read: continue
        case .beginTLS(let bytes):
            precondition(bytes.isEmpty || kind == .postgres && bytes.first == 0x16, "plain bytes passed on as TLS")
        case .forward(let bytes):
            precondition(kind == .postgres && 16...268 ~= bytes.count, "plain bytes passed on")
        case .close: break
        }
        precondition(preface.receive(piece.bytes).next == .close(.malformed), "goes on after its end")
        return
    }
}
