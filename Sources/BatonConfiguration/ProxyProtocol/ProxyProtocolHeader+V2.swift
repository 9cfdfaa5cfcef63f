import BatonCore

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
        // LOCAL (0): the sender's own connection. All that follows is to be ignored, whatever it is.
        guard command == 1 else { return .complete(Self(endpoints: nil), length: length) }
        let addressLength = try addressLength(family: bytes[13])
        guard body.byteCount >= addressLength else { throw .malformed }
        let tail = body.extracting(addressLength..<body.byteCount)
        guard let endpoints = endpoints(of: body, family: bytes[13]) else {
            // Of a family that is not known, what is an address and what comes behind it cannot be told for certain.
            return .complete(
                Self(endpoints: nil, extensions: (try? Extensions(reading: tail)) ?? .init()), length: length)
        }
        return .complete(Self(endpoints: endpoints, extensions: try Extensions(reading: tail)), length: length)
    }

    private static func addressLength(family: UInt8) throws(ProxyProtocolError) -> Int {
        switch family {
        case 0x00: 0
        case 0x11, 0x12: 12
        case 0x21, 0x22: 36
        case 0x31, 0x32: 216
        default: throw .malformed
        }
    }

    private static func endpoints(of body: RawSpan, family: UInt8) -> Endpoints? {
        switch family {
        case 0x11:
            Endpoints(
                source: Endpoint(.v4(body.bigEndian32(at: 0)), port: body.bigEndian16(at: 8)),
                destination: Endpoint(.v4(body.bigEndian32(at: 4)), port: body.bigEndian16(at: 10)))
        case 0x21:
            Endpoints(
                source: Endpoint(body.v6Address(at: 0), port: body.bigEndian16(at: 32)),
                destination: Endpoint(body.v6Address(at: 16), port: body.bigEndian16(at: 34)))
        // UNSPEC, UDP and Unix sockets: 'the receiver should ignore the address information'.
        default: nil
        }
    }

    func encodedV2() -> [UInt8] {
        let tail = extensions.encoded
        guard let ends = uniform else {
            // A receiver ignores all that LOCAL says, so a connection with something to tell is PROXY from UNSPEC.
            return tail.isEmpty ? Self.signature + [0x20, 0x00, 0, 0] : Self.packet(family: 0, tail)
        }
        var body = ends.source.address.octets + ends.destination.address.octets
        for port in [ends.source.port, ends.destination.port] {
            body += [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]
        }
        let family: UInt8 = if case .v4 = ends.source.address { 0x11 } else { 0x21 }
        return Self.packet(family: family, body + tail)
    }

    private static func packet(family: UInt8, _ body: [UInt8]) -> [UInt8] {
        signature + [0x21, family, UInt8(body.count >> 8), UInt8(truncatingIfNeeded: body.count)] + body
    }
}

extension RawSpan {
    func bigEndian16(at offset: Int) -> UInt16 {
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
