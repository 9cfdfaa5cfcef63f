import Foundation
import SelfSigned
import StockPeers
import TLSHandshake
import TLSRecords
import Testing

@Suite("Wrong input")
struct WrongInputTests {
    let credentials = Credentials.shared

    /// The error a server has for a client's first bytes, and what it answers: the same whether its context is chosen by the hello or
    /// is there before, and however the bytes come.
    private func refuse(_ bytes: [UInt8]) throws -> (HandshakeError?, answer: [UInt8]) {
        let server = try credentials.server()
        var all: [(error: HandshakeError?, answer: [UInt8])] = []
        for isChosen in [false, true] {
            for pieces in [bytes.count, 1] {
                var handshake = isChosen ? Handshake { _ in server } : Handshake(server: server)
                var refusal: HandshakeError?
                for start in stride(from: 0, to: bytes.count, by: pieces) where refusal == nil {
                    handshake.receive(bytes[start..<min(start + pieces, bytes.count)].span.bytes)
                    do { _ = try handshake.advance() } catch { refusal = error }
                }
                all.append((refusal, handshake.withOutgoing { span in span.withUnsafeBytes { Array($0) } }))
            }
        }
        for one in all {
            #expect(one.error?.code == all[0].error?.code && one.error?.fault == all[0].error?.fault)
            // Where there is no error it is a hello's answer, with its random.
            // The record of OpenSSL's alert has the version of the client's.
            #expect(
                one.error == nil || one.answer.dropFirst(3) == all[0].answer.dropFirst(3),
                "\(one.answer) and \(all[0].answer)")
        }
        return all[0]
    }

    @Test("plain HTTP on a TLS port is recognised and answered in its own language")
    func plainHTTP() throws {
        for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /a HTTP/1.0\r\n", "PRI * HTTP/2.0\r\n"] {
            let (error, answer) = try refuse(Array(request.utf8))
            #expect(error?.code == .plainHTTP)
            #expect(error?.fault == .peer)
            #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.0 400 "))
        }
    }

    @Test("something that is no TLS at all is told apart from TLS that is wrong")
    func noTLS() throws {
        #expect(try refuse(Array("SSH-2.0-OpenSSH_9.6\r\n".utf8)).0?.code == .notTLS)
        #expect(try refuse([0, 1, 2, 3, 4, 5]).0?.code == .notTLS)
        let sslv2: [UInt8] = [0x80, 0x2E, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10]
        let (error, answer) = try refuse(sslv2)
        #expect(error?.code == .unsupportedVersion)
        #expect(answer == [21, 3, 3, 0, 2, 2, 70])
    }

    @Test("an impossible record draws an alert from the library")
    func impossibleRecords() throws {
        let (long, answer) = try refuse([22, 3, 1, 0xFF, 0xFF, 1, 0, 0])
        #expect(long?.code == .protocolViolation)
        #expect(answer.first == 21)
        #expect(try refuse([22, 3, 1, 0, 4, 9, 0, 0, 0]).0?.code == .protocolViolation)
    }

    @Test("a hello that cannot be read is decode_error on the wire, whatever the library would make of it")
    func malformedHello() throws {
        var client = try Handshake(client: credentials.client(), serverName: "localhost")
        _ = try client.advance()
        var hello = client.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
        let name = try #require(hello.indices.first { hello[$0...].starts(with: "localhost".utf8) })
        hello[name] = 0x0A
        let (error, answer) = try refuse(hello)
        #expect(error?.code == .protocolViolation)
        #expect(error?.alert == .decodeError)
        #expect(answer == [21, 3, 3, 0, 2, 2, 50])
    }

    /// A client's first flight: one record.
    private func firstFlight(_ options: ProtocolOptions = .init()) throws -> [UInt8] {
        var client = try Handshake(client: credentials.client(options), serverName: "localhost")
        _ = try client.advance()
        return client.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
    }

    /// The hello of `flight` in two records with something between them.
    private func split(_ flight: [UInt8], around between: [UInt8]) -> [UInt8] {
        let message = flight.dropFirst(5)
        let rest = message.dropFirst(20)
        let header: [UInt8] = [22, 3, 1, UInt8(rest.count >> 8), UInt8(rest.count & 0xFF)]
        return [22, 3, 1, 0, 20] + message.prefix(20) + between + header + rest
    }

    @Test(
        "a first message that is no ClientHello, and a first record of another type, are unexpected_message",
        arguments: [
            [22, 3, 1, 0, 4, 2, 0, 0, 0], [22, 3, 1, 0, 4, 0, 0, 0, 0], [22, 3, 3, 0, 5, 24, 0, 0, 1, 0],
            [23, 3, 3, 0, 1, 0], [20, 3, 3, 0, 1, 1], [21, 3, 1, 0, 2, 1, 90], [21, 3, 1, 0, 2, 2, 40],
        ] as [[UInt8]])
    func firstMessage(bytes: [UInt8]) throws {
        let (error, answer) = try refuse(bytes)
        #expect(error?.code == .protocolViolation)
        #expect(answer.count == 7 && answer[0] == 21 && answer.suffix(2) == [2, 10], "\(answer)")
    }

    @Test("an empty record of a type that may not be empty is unexpected_message", arguments: [UInt8(20), 21, 22])
    func emptyRecord(type: UInt8) throws {
        #expect(try refuse([type, 3, 1, 0, 0]).answer == [21, 3, 3, 0, 2, 2, 10])
        #expect(try refuse(split(firstFlight(), around: [type, 3, 1, 0, 0])).answer == [21, 3, 3, 0, 2, 2, 10])
    }

    @Test(
        "a record of another type inside the ClientHello is unexpected_message",
        arguments: [[21, 3, 1, 0, 2, 1, 90], [20, 3, 3, 0, 1, 1], [23, 3, 3, 0, 1, 0]] as [[UInt8]])
    func interleaved(record: [UInt8]) throws {
        #expect(try refuse(split(firstFlight(), around: record)).answer == [21, 3, 3, 0, 2, 2, 10])
        #expect(try refuse(split(firstFlight(), around: [])).0 == nil)
    }

    @Test(
        "a record inside the ClientHello that can be none is refused with the alert for it",
        arguments: [
            ([22, 3, 3, 0x48, 1], 22), ([22, 3, 3, 0xFF, 0xFF], 22), ([22, 2, 0, 0, 1, 0], 70),
            ([99, 3, 3, 0, 1, 0], 10),
        ]
            as [([UInt8], UInt8)])
    func impossibleInside(record: [UInt8], alert: UInt8) throws {
        let (error, answer) = try refuse(split(firstFlight(), around: record))
        #expect(error?.code == (alert == 70 ? .unsupportedVersion : .protocolViolation))
        #expect(answer == [21, 3, 3, 0, 2, 2, alert])
    }

    @Test("a first record is refused that is longer than any without protection", arguments: [16_385, 17_000, 18_432])
    func longFirstRecord(length: Int) throws {
        let record =
            [22, 3, 1, UInt8(length >> 8), UInt8(length & 0xFF), 1, 0, 0x7F, 0]
            + [UInt8](repeating: 0, count: length - 4)
        let (error, answer) = try refuse(record)
        #expect(error?.code == .protocolViolation)
        #expect(answer.suffix(2) == [2, 22], "\(answer)")
    }

    /// A client's second hello in one record, behind a HelloRetryRequest of `ours`.
    private func secondHello(to ours: inout Handshake) throws -> [UInt8] {
        let options = ProtocolOptions(
            minimumVersion: .tls13, groups: ["X25519", "P-384"], applicationProtocols: ["one"])
        var theirs = try Handshake(client: credentials.client(options), serverName: "localhost")
        _ = try theirs.advance()
        ConnectedPair.move(&theirs, to: &ours)
        #expect(try ours.advance() == .needsInput)
        #expect(ours.outgoingCount > 0)
        ConnectedPair.move(&ours, to: &theirs)
        _ = try theirs.advance()
        var bytes = theirs.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
        // The record before it is the change_cipher_spec of middlebox compatibility.
        if bytes.starts(with: [20]) { bytes.removeFirst(6) }
        #expect(bytes.starts(with: [22, 3, 3]) && bytes[5] == 1)
        return bytes
    }

    @Test(
        "a second hello that asks for another name or another protocol is illegal_parameter, whoever chose the context",
        arguments: ["localhost", "one", nil], [false, true])
    func changedHello(field: String?, isChosen: Bool) throws {
        let server = try credentials.server(ProtocolOptions(groups: ["P-384"], applicationProtocols: ["one", "onf"]))
        var ours = isChosen ? Handshake { $0.serverName == "localhost" ? server : nil } : Handshake(server: server)
        var hello = try secondHello(to: &ours)
        if let field {
            let place = try #require(hello.indices.last { hello[$0...].starts(with: field.utf8) })
            hello[place + field.utf8.count - 1] ^= 3
        }
        ours.receive(hello.span.bytes)
        guard field != nil else {
            #expect(try ours.advance() == .needsInput)
            let answer = ours.withOutgoing { span in span.withUnsafeBytes { Array($0.prefix(6)) } }
            #expect(answer[0] == 22 && answer[5] == 2)
            return
        }
        var refusal: HandshakeError?
        do { _ = try ours.advance() } catch { refusal = error }
        #expect(refusal?.code == .protocolViolation && refusal?.alert == .illegalParameter)
        #expect(ours.withOutgoing { span in span.withUnsafeBytes { Array($0) } } == [21, 3, 3, 0, 2, 2, 47])
    }

    @Test(
        "who observes the handshake of another library refuses a second hello that asks for something else",
        arguments: [false, true])
    func observedChange(isChanged: Bool) throws {
        var ours = Handshake(server: try credentials.server(ProtocolOptions(groups: ["P-384"])))
        let options = ProtocolOptions(minimumVersion: .tls13, groups: ["X25519", "P-384"])
        var theirs = try Handshake(client: credentials.client(options), serverName: "localhost")
        func bytes(_ handshake: inout Handshake) throws -> [UInt8] {
            _ = try handshake.advance()
            let bytes = handshake.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
            handshake.didWrite(bytes.count)
            return bytes
        }
        let first = try bytes(&theirs)
        ours.receive(first.span.bytes)
        let retry = try bytes(&ours)
        theirs.receive(retry.span.bytes)
        var second = try bytes(&theirs)
        if isChanged {
            let place = try #require(second.indices.first { second[$0...].starts(with: "localhost".utf8) })
            second[place] = UInt8(ascii: "m")
        }
        // Also one who sends both at once, because it knows what will be asked.
        for isEarly in [false, true] {
            var observer = HandshakeObserver(role: .server)
            try observer.sawReceived(first.span.bytes)
            if !isEarly { try observer.sawSent(retry.span.bytes) }
            var refusal: HandshakeObserverError?
            do {
                for byte in second { try observer.sawReceived([byte].span.bytes) }
            } catch {
                refusal = error
            }
            #expect(refusal == (isChanged ? .malformed("second hello") : nil))
        }
    }

    @Test("compression is not negotiated, whoever offers it (RFC 5246 section 6.2.2)")
    func compression() throws {
        var theirs = try Handshake(
            client: credentials.client(ProtocolOptions(maximumVersion: .tls12)), serverName: "localhost")
        _ = try theirs.advance()
        var hello = theirs.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
        // Behind both headers, version and random stand the session ID, the suites and the compression methods.
        let suites = 43 + 1 + Int(hello[43])
        let methods = suites + 2 + Int(hello[suites]) << 8 + Int(hello[suites + 1])
        #expect(hello[methods...methods + 1] == [1, 0])
        hello.replaceSubrange(methods...methods + 1, with: [2, 1, 0])
        for length in [3..<5, 7..<9] {
            let value = length.reduce(0) { $0 << 8 | Int(hello[$1]) } + 1
            hello.replaceSubrange(length, with: [UInt8(value >> 8), UInt8(value & 0xFF)])
        }
        var ours = Handshake(server: try credentials.server())
        ours.receive(hello.span.bytes)
        _ = try ours.advance()
        let answer = ours.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
        #expect(answer[0] == 22 && answer[5] == 2)
        #expect(answer[43 + 1 + Int(answer[43]) + 2] == 0)
    }

    @Test("a client in its handshake ignores a HelloRequest (RFC 5246 section 7.4.1.1)")
    func helloRequest() throws {
        let options = ProtocolOptions(maximumVersion: .tls12)
        var ours = Handshake(server: try credentials.server(options))
        var theirs = try Handshake(client: credentials.client(options), serverName: "localhost")
        _ = try theirs.advance()
        theirs.receive(([22, 3, 3, 0, 4, 0, 0, 0, 0] as [UInt8]).span.bytes)
        for _ in 0..<4 {
            ConnectedPair.move(&theirs, to: &ours)
            _ = try ours.advance()
            ConnectedPair.move(&ours, to: &theirs)
            _ = try theirs.advance()
        }
        #expect(theirs.info != nil)
    }

    /// The error of each side of a handshake between contexts that do not fit.
    private func errors(
        _ server: ServerContext, _ client: ClientContext, name: String = "localhost"
    ) throws -> (server: HandshakeError?, client: HandshakeError?) {
        var ours = Handshake(server: server)
        var theirs = try Handshake(client: client, serverName: name)
        var (ourError, theirError): (HandshakeError?, HandshakeError?)
        for _ in 0..<10 {
            if theirError == nil { do { _ = try theirs.advance() } catch { theirError = error } }
            ConnectedPair.move(&theirs, to: &ours)
            if ourError == nil { do { _ = try ours.advance() } catch { ourError = error } }
            ConnectedPair.move(&ours, to: &theirs)
        }
        return (ourError, theirError)
    }

    @Test("no version in common is protocol_version on the wire")
    func versions() throws {
        let (server, client) = try errors(
            credentials.server(ProtocolOptions(minimumVersion: .tls13)),
            credentials.client(ProtocolOptions(maximumVersion: .tls12)))
        #expect(server?.code == .unsupportedVersion)
        #expect(server?.alert == .protocolVersion)
        #expect(client?.code == .alertReceived)
        #expect(client?.alert == .protocolVersion)
    }

    @Test("no suite in common is handshake_failure on the wire")
    func suites() throws {
        let (server, client) = try errors(
            credentials.server(ProtocolOptions(cipherSuites: [.aes128GCM])),
            credentials.client(ProtocolOptions(cipherSuites: [.aes256GCM])))
        #expect(server?.code == .noCommonCipherSuite)
        #expect(server?.alert == .handshakeFailure)
        #expect(client?.alert == .handshakeFailure)
    }

    @Test("no application protocol in common is no_application_protocol on the wire")
    func applicationProtocols() throws {
        let (server, client) = try errors(
            credentials.server(ProtocolOptions(applicationProtocols: ["mqtt"])),
            credentials.client(ProtocolOptions(applicationProtocols: ["h2"])))
        #expect(server?.code == .noApplicationProtocol)
        #expect(server?.alert == .noApplicationProtocol)
        #expect(client?.alert == .noApplicationProtocol)
    }

    @Test("no group in common is an error of its own")
    func groups() throws {
        let (server, _) = try errors(
            credentials.server(ProtocolOptions(minimumVersion: .tls13, groups: ["P-384"])),
            credentials.client(ProtocolOptions(minimumVersion: .tls13, groups: ["X25519"])))
        #expect(server?.code == .noCommonParameters)
    }

    @Test("a server for another name, or of an unknown authority, is refused by the client")
    func serverCertificate() throws {
        let server = try credentials.server()
        let (_, wrongName) = try errors(server, credentials.client(), name: "other.test")
        #expect(wrongName?.code == .certificateRejected)
        #expect(wrongName?.message.contains("ostname") == true)
        let stranger = try ClientContext(
            ClientConfiguration(verification: .roots(.text(credentials["wildcard"].certificatePEM))))
        let (ours, unknown) = try errors(server, stranger)
        #expect(unknown?.code == .certificateRejected)
        #expect(unknown?.alert == .unknownCA)
        #expect(ours?.code == .alertReceived)
        var pair = try ConnectedPair.make(server, credentials.client(), name: "127.0.0.1")
        try pair.exchange("by address")
    }

    @Test("a client without a required certificate is refused", arguments: [TLSVersion.tls12, .tls13])
    func clientCertificate(_ version: TLSVersion) throws {
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        let server = try credentials.server(options, clients: .required(authorities: credentials.roots))
        let (error, _) = try errors(server, credentials.client(options))
        #expect(error?.code == .certificateMissing)
    }

    @Test("a handshake longer than allowed is refused")
    func tooLong() throws {
        var handshake = Handshake(server: try credentials.server(), maximumLength: 100)
        var client = try Handshake(client: credentials.client(), serverName: "localhost")
        _ = try client.advance()
        ConnectedPair.move(&client, to: &handshake)
        var code: HandshakeError.Code?
        do { _ = try handshake.advance() } catch { code = error.code }
        #expect(code == .tooLong)
    }

    @Test("a peer that closes during the handshake is told apart")
    func closed() throws {
        var handshake = Handshake(server: try credentials.server())
        _ = try handshake.advance()
        var codes: [HandshakeError.Code] = []
        do { try handshake.receiveEnd() } catch { codes.append(error.code) }
        do { _ = try handshake.advance() } catch { codes.append(error.code) }
        #expect(codes == [.closed, .closed])
    }

    @Test("random bytes behind any prefix of a handshake never trap, and end in an error or in waiting")
    func hostile() throws {
        let server = try credentials.server()
        let client = try credentials.client()
        var random = SystemRandomNumberGenerator()
        for round in 0..<400 {
            var theirs = try Handshake(client: client, serverName: "localhost")
            var ours = Handshake(server: server)
            _ = try theirs.advance()
            let hello = theirs.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
            var bytes = Array(hello.prefix(round % (hello.count + 1)))
            bytes += (0..<64).map { _ in UInt8.random(in: 0...255, using: &random) }
            if round % 3 == 0, !bytes.isEmpty { bytes[round % bytes.count] ^= 1 << UInt8(round % 8) }
            ours.receive(bytes.span.bytes)
            do { _ = try ours.advance() } catch { #expect(!error.message.isEmpty) }
            // What the client makes of a server that talks nonsense.
            theirs.receive(bytes.span.bytes)
            do { _ = try theirs.advance() } catch { #expect(!error.message.isEmpty) }
        }
    }
}
