extension ProxyProtocolHeader {
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// Section 2.2: signature, version and command, family and transport, length, endpoints, extensions.
    static func readV2(_ bytes: RawSpan, limit: Int) throws(ProxyProtocolError) -> Reading {
        for (i, expected) in signature.enumerated() where i < bytes.byteCount {
            guard bytes[i] == expected else { throw .notProxyProtocol }
        }
        guard bytes.byteCount >= v2FixedLength else { return .incomplete }
        let length = v2FixedLength + Int(bytes.bigEndian16(at: 14))
        guard bytes[12] >> 4 == 2 else { throw .malformed }
        let command = bytes[12] & 0xF
        guard command <= 1 else { throw .malformed }
        guard length <= max(limit, 232) else { throw .tooLong }
        guard bytes.byteCount >= length else { return .incomplete }
        let body = bytes.extracting(v2FixedLength..<length)
        // LOCAL (0): the sender's own connection. Its family and endpoints are to be ignored, whatever they are.
        let endpoints = command == 0 ? nil : try endpoints(of: body, family: bytes[13])
        return .complete(Self(endpoints: endpoints), length: length)
    }

    private static func endpoints(of body: RawSpan, family: UInt8) throws(ProxyProtocolError) -> Endpoints? {
        switch family {
        case 0x11:
            guard body.byteCount >= 12 else { throw .malformed }
            return Endpoints(
                source: Endpoint(.v4(body.bigEndian32(at: 0)), port: body.bigEndian16(at: 8)),
                destination: Endpoint(.v4(body.bigEndian32(at: 4)), port: body.bigEndian16(at: 10)))
        case 0x21:
            guard body.byteCount >= 36 else { throw .malformed }
            return Endpoints(
                source: Endpoint(body.v6Address(at: 0), port: body.bigEndian16(at: 32)),
                destination: Endpoint(body.v6Address(at: 16), port: body.bigEndian16(at: 34)))
        // UNSPEC, UDP and Unix sockets: 'the receiver should ignore the address information'.
        case 0x00: return nil
        case 0x12:
            guard body.byteCount >= 12 else { throw .malformed }
            return nil
        case 0x22:
            guard body.byteCount >= 36 else { throw .malformed }
            return nil
        case 0x31, 0x32:
            guard body.byteCount >= 216 else { throw .malformed }
            return nil
        default: throw .malformed
        }
    }

    func encodedV2() -> [UInt8] {
        guard let ends = uniform else { return Self.signature + [0x20, 0x00, 0, 0] }
        var body = ends.source.address.octets + ends.destination.address.octets
        for port in [ends.source.port, ends.destination.port] {
            body += [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]
        }
        let family: UInt8 = if case .v4 = ends.source.address { 0x11 } else { 0x21 }
        return Self.signature + [0x21, family, 0, UInt8(body.count)] + body
    }
}

extension RawSpan {
    fileprivate func bigEndian16(at offset: Int) -> UInt16 {
        UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    fileprivate func bigEndian32(at offset: Int) -> UInt32 {
        UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    fileprivate func v6Address(at offset: Int) -> IPAddress {
        .v6(
            high: UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)),
            low: UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
    }
}
