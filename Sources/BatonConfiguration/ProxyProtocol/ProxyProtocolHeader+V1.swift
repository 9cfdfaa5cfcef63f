import BatonCore

extension ProxyProtocolHeader {
    /// Section 2.1: `PROXY TCP4 192.0.2.1 192.0.2.2 40000 443` and CR LF.
    static func readV1(_ bytes: RawSpan) throws(ProxyProtocolError) -> Reading {
        for (i, expected) in "PROXY ".utf8.enumerated() where i < bytes.byteCount {
            guard bytes[i] == expected else { throw .notProxyProtocol }
        }
        // Printable ASCII up to CR: nothing in a header can hide in a log line.
        var end = 0
        while end < bytes.byteCount, bytes[end] != 0x0D {
            guard 0x20...0x7E ~= bytes[end] else { throw .malformed }
            end += 1
            guard end <= v1Limit - 2 else { throw .tooLong }
        }
        guard end + 1 < bytes.byteCount else { return .incomplete }
        guard bytes[end + 1] == 0x0A else { throw .malformed }
        let line = bytes.extracting(0..<end).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        return .complete(Self(endpoints: try endpoints(ofLine: line)), length: end + 2)
    }

    private static func endpoints(ofLine line: String) throws(ProxyProtocolError) -> Endpoints? {
        // Exactly one blank between fields; empty ones are kept, and so refused.
        let fields = line.split(separator: " ", omittingEmptySubsequences: false)
        guard fields.count >= 2 else { throw .malformed }
        // 'The receiver must ignore anything presented before the CRLF' after UNKNOWN.
        if fields[1] == "UNKNOWN" { return nil }
        guard fields.count == 6, let source = IPAddress(fields[2]), let destination = IPAddress(fields[3]),
            let sourcePort = port(fields[4]), let destinationPort = port(fields[5])
        else { throw .malformed }
        switch (fields[1], source, destination) {
        case ("TCP4", .v4, .v4), ("TCP6", .v6, .v6): break
        default: throw .malformed
        }
        return Endpoints(
            source: Endpoint(source, port: sourcePort), destination: Endpoint(destination, port: destinationPort))
    }

    /// A decimal number without leading zeros, as the specification asks.
    private static func port(_ text: Substring) -> UInt16? {
        guard 1...5 ~= text.utf8.count, text.utf8.allSatisfy(\.isDigit), text == "0" || text.first != "0" else {
            return nil
        }
        return UInt16(text)
    }

    func encodedV1() -> [UInt8] {
        guard let ends = uniform else { return Array("PROXY UNKNOWN\r\n".utf8) }
        let family = if case .v4 = ends.source.address { "TCP4" } else { "TCP6" }
        let (source, destination) = (ends.source, ends.destination)
        return Array(
            "PROXY \(family) \(source.address) \(destination.address) \(source.port) \(destination.port)\r\n".utf8)
    }
}

extension RawSpan {
    /// One byte; the offset must be less than `byteCount`.
    subscript(offset: Int) -> UInt8 { unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
}
