import BatonConfiguration
import BatonCore
import Testing

@Suite("A PROXY protocol header")
struct ProxyProtocolTests {
    private typealias Header = ProxyProtocolHeader

    private func pair(_ a: String, _ b: String) throws -> ProxyProtocolHeader {
        try ProxyProtocolHeader(
            endpoints: .init(
                source: Endpoint(#require(IPAddress(a)), port: 40000),
                destination: Endpoint(#require(IPAddress(b)), port: 443)))
    }

    /// Reads `bytes` as they would arrive: one more each time. All but the last reading must be `incomplete`.
    private func readInPieces(_ bytes: [UInt8]) throws -> ProxyProtocolHeader.Reading {
        for n in 0..<bytes.count {
            #expect(try Header.read(Array(bytes[..<n])) == .incomplete)
        }
        return try Header.read(bytes)
    }

    @Test(
        "is read back as it was written, at every split",
        arguments: Header.Version.allCases, [["192.0.2.1", "198.51.100.7"], ["2001:db8::1", "2001:db8::2"]])
    func roundTrip(version: ProxyProtocolHeader.Version, ends: [String]) throws {
        let header = try pair(ends[0], ends[1])
        let bytes = header.encoded(version)
        #expect(try readInPieces(bytes) == .complete(header, length: bytes.count))
        #expect(try Header.read((bytes + [1, 2, 3])) == .complete(header, length: bytes.count))
    }

    @Test("the text form is the specification's")
    func text() throws {
        let v4 = try pair("192.0.2.1", "198.51.100.7").encoded(.v1)
        #expect(String(decoding: v4, as: UTF8.self) == "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n")
        #expect(String(decoding: Header(endpoints: nil).encoded(.v1), as: UTF8.self) == "PROXY UNKNOWN\r\n")
        #expect(
            try Header.read("PROXY UNKNOWN whatever 1 2\r\nGET".utf8Array)
                == .complete(Header(endpoints: nil), length: 28))
    }

    @Test("the binary form is the specification's")
    func binary() throws {
        let bytes = try pair("192.0.2.1", "198.51.100.7").encoded(.v2)
        #expect(
            bytes == [
                0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 12,
                192, 0, 2, 1, 198, 51, 100, 7, 0x9C, 0x40, 0x01, 0xBB,
            ])
    }

    @Test("a mixed pair is written in IPv6, a mapped pair in IPv4")
    func families() throws {
        let mixed = try pair("192.0.2.1", "2001:db8::2")
        guard case .complete(let read, _) = try Header.read(mixed.encoded(.v2)) else {
            Issue.record("incomplete")
            return
        }
        #expect(read.endpoints?.source.address == IPAddress("::ffff:192.0.2.1"))
        #expect(try readInPieces(mixed.encoded(.v1)) == .complete(read, length: mixed.encoded(.v1).count))
        let mapped = try pair("::ffff:192.0.2.1", "::ffff:192.0.2.2")
        #expect(try mapped.encoded(.v1) == pair("192.0.2.1", "192.0.2.2").encoded(.v1))
    }

    private func v2(command: UInt8 = 0x21, family: UInt8, body: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = length ?? body.count
        return Array(Header(endpoints: nil).encoded(.v2).prefix(12))
            + [command, family, UInt8(length >> 8), UInt8(length & 0xFF)] + body
    }

    @Test("of the extensions the unique ID is kept, and passed on as it is")
    func uniqueID() throws {
        let ends: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 7, 0, 80, 1, 187]
        func reading(_ tail: [UInt8]) throws -> ProxyProtocolHeader? {
            guard case .complete(let header, _) = try Header.read(v2(family: 0x11, body: ends + tail)) else {
                return nil
            }
            return header
        }
        let header = try #require(try reading([0x02, 0, 1, 65, 0x05, 0, 3, 1, 0, 255, 0x20, 0, 0]))
        #expect(header.extensions.uniqueID == [1, 0, 255] && header.extensions.authority == nil)
        #expect(Array(header.encoded(.v2).suffix(6)) == [0x05, 0, 3, 1, 0, 255])
        #expect(header.encoded(.v1) == Array("PROXY TCP4 192.0.2.1 198.51.100.7 80 443\r\n".utf8))
        #expect(try reading([0x05, 0, 128] + [UInt8](repeating: 9, count: 128))?.extensions.uniqueID?.count == 128)
        for tail in [[0x05], [0x05, 0, 4, 1, 2, 3], [0x05, 0, 129] + [UInt8](repeating: 9, count: 129)] as [[UInt8]] {
            #expect(throws: ProxyProtocolError.malformed) { try Header.read(v2(family: 0x11, body: ends + tail)) }
        }
    }

    @Test("what is known of the client is told as the specification has it")
    func told() {
        var header = Header(endpoints: nil)
        header.extensions.applicationProtocol = "h2"
        header.extensions.authority = "a.example"
        header.extensions.security = .init(
            version: "TLSv1.3", cipher: "X",
            certificate: .init(commonName: "dev", verifyResult: 0, isOfThisConnection: false))
        let told: [UInt8] =
            [0x01, 0, 2, 104, 50, 0x02, 0, 9] + Array("a.example".utf8) + [0x20, 0, 25, 0x05, 0, 0, 0, 0]
            + [0x21, 0, 7] + Array("TLSv1.3".utf8) + [0x22, 0, 3] + Array("dev".utf8) + [0x23, 0, 1, 88]
        // A receiver would ignore all that LOCAL says.
        #expect(header.encoded(.v2) == v2(family: 0, body: told))
        header.extensions = .init()
        header.extensions.security = .init(version: "TLSv1.2", cipher: "X")
        #expect(Array(header.encoded(.v2)[16..<24]) == [0x20, 0, 19, 0x01, 0, 0, 0, 1])
        header.extensions = .init()
        header.extensions.authority = String(repeating: "a", count: 256)
        #expect(header.encoded(.v2) == Header(endpoints: nil).encoded(.v2))
    }

    @Test("extensions are skipped, up to the limit")
    func extensions() throws {
        let body = [UInt8](repeating: 7, count: 12) + [0xE0, 0x0F, 0x9D] + [UInt8](repeating: 7, count: 3997)
        let bytes = v2(family: 0x11, body: body)
        guard case .complete(let header, let length) = try Header.read(bytes) else {
            Issue.record("incomplete")
            return
        }
        #expect(length == bytes.count && header.endpoints?.source.port == 0x0707)
        // Refused on its length alone, before a byte of it has been stored.
        #expect(throws: ProxyProtocolError.tooLong) {
            try Header.read(v2(family: 0x11, body: [], length: 65535))
        }
    }

    @Test("LOCAL, UNSPEC, UDP and Unix sockets name no endpoints")
    func unnamed() throws {
        let body = [UInt8](repeating: 1, count: 216)
        let cases: [(UInt8, UInt8)] = [
            (0x20, 0x00), (0x20, 0x11), (0x20, 0xFF), (0x21, 0x00), (0x21, 0x12), (0x21, 0x22), (0x21, 0x31),
            (0x21, 0x32),
        ]
        for (command, family) in cases {
            let bytes = v2(command: command, family: family, body: body)
            #expect(try Header.read(bytes) == .complete(Header(endpoints: nil), length: bytes.count))
        }
        #expect(
            try Header.read(v2(command: 0x20, family: 0, body: []))
                == .complete(Header(endpoints: nil), length: 16))
    }

    @Test("a binary header that breaks the specification is refused")
    func malformedBinary() {
        let body = [UInt8](repeating: 1, count: 216)
        for bytes in [
            v2(command: 0x11, family: 0x11, body: body), v2(command: 0x22, family: 0x11, body: body),
            v2(family: 0x13, body: body), v2(family: 0x41, body: body), v2(family: 0x11, body: Array(body.prefix(11))),
            v2(family: 0x21, body: Array(body.prefix(35))), v2(family: 0x31, body: Array(body.prefix(215))),
        ] {
            #expect(throws: ProxyProtocolError.malformed) { try Header.read(bytes) }
        }
    }

    @Test(
        "a text header that breaks the specification is refused",
        arguments: [
            "PROXY  TCP4 1.2.3.4 1.2.3.5 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.5 1 2 \r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.5 1\r\n",
            "PROXY TCP4 ::1 ::2 1 2\r\n", "PROXY TCP6 1.2.3.4 1.2.3.5 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.5 01 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.5 65536 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.5 +1 2\r\n", "PROXY \r\n",
            "PROXY tcp4 \r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.5 1 2\n", "PROXY TCP4 1.2.3.4 1.2.3.5 1 2\r\r\n", "PROXY UNKNOWN\u{1b}[0m\r\n",
            "PROXY UNKNOWN é\r\n",
        ])
    func malformedText(text: String) {
        #expect(throws: ProxyProtocolError.malformed) { try Header.read(text.utf8Array) }
    }

    @Test("a line without an end is refused at 107 bytes, and a line of 107 is taken")
    func lineLimit() throws {
        let longest = "PROXY UNKNOWN " + String(repeating: "f", count: 91) + "\r\n"
        #expect(longest.utf8.count == 107)
        #expect(try Header.read(longest.utf8Array) == .complete(Header(endpoints: nil), length: 107))
        let endless = ("PROXY UNKNOWN " + String(repeating: "f", count: 5000)).utf8Array
        #expect(throws: ProxyProtocolError.tooLong) { try Header.read(endless) }
    }

    @Test(
        "what cannot begin a header is refused at its first wrong byte",
        arguments: ["G", "PR0", "PROXYTCP4", "\r\n\r\nX", "\u{16}\u{3}\u{1}"])
    func other(text: String) {
        #expect(throws: ProxyProtocolError.notProxyProtocol) { try Header.read(text.utf8Array) }
    }

    @Test("a version that is not accepted is refused")
    func versions() throws {
        let header = try pair("192.0.2.1", "192.0.2.2")
        #expect(throws: ProxyProtocolError.notProxyProtocol) {
            try Header.read(header.encoded(.v1), accepting: [.v2])
        }
        #expect(throws: ProxyProtocolError.notProxyProtocol) {
            try Header.read(header.encoded(.v2), accepting: [.v1])
        }
    }
}
