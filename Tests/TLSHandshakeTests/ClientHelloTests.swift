import StockPeers
import TLSHandshake
import TLSRecords
import Testing

@Suite("A ClientHello")
struct ClientHelloTests {
    /// What a real client sends.
    private func hello(_ options: ProtocolOptions = .init(applicationProtocols: ["h2", "mqtt"])) throws -> [UInt8] {
        var client = try Handshake(client: Credentials.shared.client(options), serverName: "Www.Example.com")
        _ = try client.advance()
        return client.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
    }

    private func read(_ bytes: [UInt8]) -> ClientHelloReading { ClientHelloReading(bytes.span.bytes) }

    @Test("tells name, protocols and versions, and does so whatever follows it")
    func whole() throws {
        let bytes = try hello()
        guard case .hello(let hello) = read(bytes) else {
            Issue.record("not read")
            return
        }
        #expect(hello.serverName == "www.example.com")
        #expect(hello.applicationProtocols == ["h2", "mqtt"])
        #expect(hello.versions == [0x0304, 0x0303])
        #expect(hello.suites.contains(0x1301))
        #expect(hello.random == Array(bytes[11..<43]))
        #expect(read(bytes + [1, 2, 3]) == .hello(hello))
        // A change_cipher_spec and early data (RFC 8446 appendix D.4 and section 4.2.10), and what is no record.
        #expect(read(bytes + [20, 3, 3, 0, 1, 1] + [23, 3, 3, 0, 3, 7, 7, 7]) == .hello(hello))
        #expect(read(bytes + Array("GET / HTTP/1.1".utf8)) == .hello(hello))
    }

    @Test("names its server without the root's dot, as the handshake does")
    func rootDot() throws {
        var bytes = try hello()
        let place = try #require(bytes.indices.first { bytes[$0...].starts(with: "www.example.com".utf8) })
        bytes[place + 14] = UInt8(ascii: ".")
        guard case .hello(let hello) = read(bytes) else {
            Issue.record("not read")
            return
        }
        #expect(hello.serverName == "www.example.co")
    }

    @Test("cut at any byte needs more, and is whole at the last")
    func everyPrefix() throws {
        let bytes = try hello()
        for end in 0..<bytes.count {
            #expect(read(Array(bytes[..<end])) == .needMore, "after \(end) bytes")
        }
        guard case .hello = read(bytes) else {
            Issue.record("not read")
            return
        }
    }

    @Test("may be split over records at any byte")
    func everySplit() throws {
        let bytes = try hello()
        let body = Array(bytes[5...])
        let whole = read(bytes)
        func record(_ part: ArraySlice<UInt8>) -> [UInt8] {
            [22, 3, 1, UInt8(part.count >> 8), UInt8(part.count & 0xFF)] + part
        }
        for cut in 1..<body.count {
            #expect(read(record(body[..<cut]) + record(body[cut...])) == whole, "split at \(cut)")
        }
        #expect(read(body.indices.flatMap { record(body[$0...$0]) }) == whole)
    }

    @Test("with any single byte changed is read, refused or waited for, and never traps")
    func everyByteChanged() throws {
        let bytes = try hello()
        for index in bytes.indices {
            for value in [0, 1, 0x7F, 0xFF, bytes[index] ^ 1] {
                var changed = bytes
                changed[index] = value
                let reading = read(changed)
                // A byte behind a whole hello is the next record's.
                if case .hello = reading { #expect(read(changed + [0]) == reading) }
            }
        }
    }

    @Test("that repeats an extension, or whose lengths do not add up, is malformed")
    func malformed() {
        func message(_ extensions: [UInt8], suites: [UInt8] = [0x13, 1]) -> [UInt8] {
            var body: [UInt8] = [3, 3] + [UInt8](repeating: 7, count: 32) + [0]
            body += [0, UInt8(suites.count)] + suites + [1, 0]
            body += [UInt8(extensions.count >> 8), UInt8(extensions.count & 0xFF)] + extensions
            let handshake = [1, 0, UInt8(body.count >> 8), UInt8(body.count & 0xFF)] + body
            return [22, 3, 1, UInt8(handshake.count >> 8), UInt8(handshake.count & 0xFF)] + handshake
        }
        func isMalformed(_ bytes: [UInt8]) -> Bool {
            if case .notTLS(.malformedHello) = read(bytes) { true } else { false }
        }
        #expect(!isMalformed(message([])))
        #expect(!isMalformed(message([0, 23, 0, 0])))
        #expect(isMalformed(message([0, 23, 0, 0, 0, 23, 0, 0])))
        #expect(isMalformed(message([0, 23, 0, 1])))
        #expect(isMalformed(message([], suites: [0x13])))
        // A server name with a space, one that is empty, and two of them.
        #expect(isMalformed(message([0, 0, 0, 6, 0, 4, 0, 0, 1, 0x20])))
        #expect(isMalformed(message([0, 0, 0, 5, 0, 3, 0, 0, 0])))
        #expect(isMalformed(message([0, 0, 0, 10, 0, 8, 0, 0, 1, 0x61, 0, 0, 1, 0x62])))
        // An ALPN name that is empty.
        #expect(isMalformed(message([0, 16, 0, 3, 0, 1, 0])))
    }

    @Test("larger than any real one is refused before it is complete")
    func huge() {
        let claim: [UInt8] = [22, 3, 1, 0x40, 0, 1, 0xFF, 0xFF, 0xFF]
        #expect(read(claim) == .notTLS(.malformedHello("length")))
        let part: [UInt8] = [22, 3, 1, 0, 1, 1]
        #expect(
            read(part + (0..<ClientHelloReading.maximumLength).flatMap { _ in [22, 3, 1, 0, 1, 0] as [UInt8] })
                != .needMore)
    }

    @Test("is told from other protocols by its first bytes")
    func others() {
        #expect(read([]) == .needMore)
        #expect(read(Array("G".utf8)) == .needMore)
        #expect(read(Array("GET / HTTP/1.1".utf8)) == .notTLS(.plainHTTP))
        #expect(read(Array("EHLO x\r\n".utf8)) == .notTLS(.otherProtocol))
        #expect(read([0x80, 0x2E, 1, 3, 1]) == .notTLS(.sslv2))
        #expect(read([0x16, 2]) == .notTLS(.otherProtocol))
        #expect(read([0x10, 0x20]) == .notTLS(.otherProtocol))
        #expect(read([21, 3, 1, 0, 2, 1, 0]) == .notTLS(.otherProtocol))
    }
}

@Suite("Role detection")
struct RoleDetectorTests {
    @Test("makes a peer that speaks first the TLS client")
    func speaks() {
        var detector = RoleDetector()
        #expect(detector.handle(.received(first: 22)) == .start(.server))
        #expect(detector.handle(.timeLimit) == .ignore)
        #expect(detector.handle(.closed) == .ignore)
    }

    @Test("makes this side the TLS client of a peer that stays silent")
    func silent() {
        var detector = RoleDetector()
        #expect(detector.handle(.timeLimit) == .start(.client))
        #expect(detector.handle(.received(first: 22)) == .ignore)
    }

    @Test("leaves a peer that speaks something else to the route, and closes with one that has gone")
    func others() {
        var plain = RoleDetector()
        #expect(plain.handle(.received(first: UInt8(ascii: "G"))) == .notTLS)
        var gone = RoleDetector()
        #expect(gone.handle(.closed) == .close)
        #expect(gone.handle(.timeLimit) == .ignore)
    }
}
