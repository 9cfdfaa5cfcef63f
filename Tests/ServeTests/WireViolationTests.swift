import BatonConfiguration
import Foundation
import StockPeers
import Testing

@testable import TLSRecords

/// Peers that break the protocol after their handshake: what they are told, and what the operator is.
@Suite("Violations on the wire", .serialized, .timeLimit(.minutes(5)))
struct WireViolationTests {
    /// What a client sends, by name, and the alert that is due.
    struct Violation: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let version: TLSVersion
        let alert: Alert
        let bytes: @Sendable (ForgingPeer) -> [UInt8]

        init(
            _ name: String, _ version: TLSVersion = .tls13, _ alert: Alert = .unexpectedMessage,
            _ bytes: @escaping @Sendable (ForgingPeer) -> [UInt8]
        ) {
            testDescription = name
            self.version = version
            self.alert = alert
            self.bytes = bytes
        }
    }

    static let violations = [
        Violation("an alert inside a handshake message") {
            $0.record(.handshake, [24, 0]) + $0.record(.alert, [1, 90]) + $0.record(.handshake, [0, 1, 0])
        },
        Violation("data inside a handshake message") {
            $0.record(.handshake, [24, 0]) + $0.record(.applicationData, [1])
        },
        Violation("an empty alert") { $0.record(.alert, []) },
        Violation("an empty handshake record") { $0.record(.handshake, []) },
        Violation("half an alert", .tls13, .decodeError) { $0.record(.alert, [1]) },
        Violation("two alerts in a record", .tls13, .decodeError) { $0.record(.alert, [1, 90, 1, 90]) },
        Violation("a change_cipher_spec after the handshake") { _ in [20, 3, 3, 0, 1, 1] },
        Violation("a protected change_cipher_spec") { $0.record(.changeCipherSpec, [1]) },
        Violation("an unprotected alert") { _ in [21, 3, 3, 0, 2, 2, 40] },
        Violation("an unprotected handshake message") { _ in [22, 3, 3, 0, 5, 24, 0, 0, 1, 0] },
        Violation("a record type that nobody has defined") { _ in [99, 3, 3, 0, 1, 1] },
        Violation("an empty record", .tls13, .badRecordMAC) { _ in [23, 3, 3, 0, 0] },
        Violation("a record of 2^14 + 257 bytes", .tls13, .recordOverflow) { _ in [23, 3, 3, 0x41, 0x01] },
        Violation("a record that does not authenticate", .tls13, .badRecordMAC) { _ in
            [23, 3, 3, 0, 20] + [UInt8](repeating: 7, count: 20)
        },
        Violation("a KeyUpdate that does not end its record") { $0.record(.handshake, [24, 0, 0, 1, 0, 24]) },
        Violation("a KeyUpdate of a kind that nobody has defined", .tls13, .illegalParameter) {
            $0.record(.handshake, [24, 0, 0, 1, 2])
        },
        Violation("a KeyUpdate of two bytes", .tls13, .decodeError) { $0.record(.handshake, [24, 0, 0, 2, 0, 0]) },
        Violation("a certificate nobody asked for") { $0.record(.handshake, [11, 0, 0, 4, 0, 0, 0, 0]) },
        Violation("a ClientHello after a TLS 1.3 handshake") { $0.record(.handshake, [1, 0, 0, 2, 3, 3]) },
        Violation("five thousand key updates") { peer in (0..<5_000).flatMap { _ in peer.keyUpdate(requesting: true) }
        },
        Violation("a hundred empty records") { peer in (0..<100).flatMap { _ in peer.record(.applicationData, []) } },
        Violation("TLS 1.2: an empty alert", .tls12) { $0.record(.alert, []) },
        Violation("TLS 1.2: a change_cipher_spec after the handshake", .tls12) { _ in [20, 3, 3, 0, 1, 1] },
        Violation("TLS 1.2: a record of another version", .tls12, .protocolVersion) { _ in [23, 3, 1, 0, 1, 1] },
        Violation("TLS 1.2: a record of 2^14 + 2049 bytes", .tls12, .recordOverflow) { _ in [23, 3, 3, 0x48, 0x01] },
        Violation("TLS 1.2: a hundred warnings", .tls12) { peer in
            (0..<100).flatMap { _ in peer.record(.alert, [1, 90]) }
        },
        Violation("TLS 1.2: a hundred requests to renegotiate", .tls12) { peer in
            (0..<100).flatMap { _ in peer.record(.handshake, [1, 0, 0, 2, 3, 3]) }
        },
    ]

    @Test("the peer is told by the alert that is due, and the operator by a line in the log and in the metrics")
    func violations() throws {
        let server = try Server(["--upstream", "echo", "--admin", "127.0.0.1:0"], workers: 1)
        let port = try server.number(behind: "admin=127.0.0.1:")
        for violation in Self.violations {
            let peer = try ForgingPeer(port: server.port, version: violation.version)
            try peer.send(peer.record(.applicationData, [7]))
            try peer.receive(1)
            // The server may end it before everything has been written.
            try? peer.send(violation.bytes(peer))
            #expect(try peer.end() == violation.alert, "\(violation.testDescription)")
        }
        try server.log("TLS ended a connection")
        for words in ["alert=unexpected_message", "listener=default", "peer=127.0.0.1:", "RFC 8446 section 5.1"] {
            try server.log(words)
        }
        // The worker tells the front of it a moment later.
        let deadline = ContinuousClock.now + .seconds(60)
        var metrics = ""
        while !metrics.contains(#"baton_tls_faults_total{reason="too_many_key_updates""#),
            ContinuousClock.now < deadline
        {
            let curl = try PeerProcess(["curl", "-s", "--max-time", "60", "http://127.0.0.1:\(port)/metrics"])
            try curl.expect(nil)
            metrics = curl.text
        }
        #expect(metrics.contains(#"baton_tls_faults_total{reason="too_many_key_updates""#), "\(metrics)")
    }

    @Test("a flood of violations is a few lines in the log")
    func logFlood() throws {
        let server = try Server(["--upstream", "echo"], workers: 1)
        for _ in 0..<40 {
            let peer = try ForgingPeer(port: server.port)
            try peer.send([20, 3, 3, 0, 1, 1])
            #expect(try peer.end() == .unexpectedMessage)
        }
        server.signal(SIGTERM)
        try server.end()
        let lines = server.logged.split(separator: "\n").filter { $0.contains("TLS ended a connection") }
        #expect((1...30).contains(lines.count), "\(lines.count) lines")
    }

    @Test(
        "TLS 1.2: a request to renegotiate is refused by a warning, data inside it comes through, and the connection lives"
    )
    func renegotiation() throws {
        let server = try Server(["--upstream", "echo"], workers: 1)
        let peer = try ForgingPeer(port: server.port, version: .tls12)
        try peer.send(
            peer.record(.handshake, [1, 0, 0, 2, 3]) + peer.record(.applicationData, [5])
                + peer.record(.handshake, [3]) + peer.record(.applicationData, [6]))
        try peer.receive(2)
        #expect(peer.data == [5, 6])
    }

    @Test("what follows a close_notify is ignored, and what came before it is answered")
    func afterCloseNotify() throws {
        let server = try Server(["--upstream", "echo"], workers: 1)
        let peer = try ForgingPeer(port: server.port)
        try peer.send(
            peer.record(.applicationData, [5]) + peer.record(.alert, [1, 0]) + peer.record(.applicationData, [6]))
        #expect(try peer.end() == .closeNotify)
        #expect(peer.data == [5])
    }

    @Test("key updates are answered, and data goes on under the new keys")
    func keyUpdates() throws {
        let server = try Server(["--upstream", "echo", "--move-every", "2"], workers: 2)
        let peer = try ForgingPeer(port: server.port)
        for round in 1...20 {
            try peer.send(peer.keyUpdate(requesting: true) + peer.record(.applicationData, [UInt8(round)]))
            try peer.receive(round)
        }
        #expect(peer.data == Array(1...20))
        #expect(peer.events.filter { $0 == .keyUpdate(requested: false) }.count == 20)
    }

    @Test("a client that neither sends nor is sent anything may change its key for ever, if it takes its time")
    func idleKeyUpdates() async throws {
        let server = try Server(["--upstream", "echo"], workers: 1)
        let peer = try ForgingPeer(port: server.port)
        for round in 0..<4 {
            // The limit begins anew with each second of the worker's clock. Only time may pass: any event that this could
            // wait for is data, which begins it anew as well.
            if round > 0 { try await Task.sleep(for: .milliseconds(1_100)) }
            for _ in 0..<30 { try peer.send(peer.keyUpdate()) }
        }
        try peer.send(peer.record(.applicationData, [9]))
        try peer.receive(1)
        #expect(peer.data == [9])
    }

    /// What an upstream sends after its handshake, and the alert that is due.
    static let ofUpstreams = [
        Violation("a request for a certificate") { $0.record(.handshake, [13, 0, 0, 3, 0, 0, 0]) },
        Violation("a thousand tickets") { peer in
            (0..<1_000).flatMap { _ in
                peer.record(.handshake, [4, 0, 0, 16, 0, 0, 0, 60, 1, 2, 3, 4, 1, 9, 0, 2, 7, 7, 0, 0])
            }
        },
        Violation("a ticket that cannot be read", .tls13, .decodeError) { $0.record(.handshake, [4, 0, 0, 1, 0]) },
        Violation("an alert inside a ticket") { $0.record(.handshake, [4, 0]) + $0.record(.alert, [1, 90]) },
        Violation("TLS 1.2: a hundred HelloRequests", .tls12) { peer in
            (0..<100).flatMap { _ in peer.record(.handshake, [0, 0, 0, 0]) }
        },
    ]

    @Test("an upstream is told, too")
    func upstreams() throws {
        let (listener, port) = try Wire.listen()
        let files = try TemporaryFiles()
        let configuration = try files.write(
            """
            listeners: {main: {address: "127.0.0.1:0", tls: false}}
            upstreams: {web: {addresses: "127.0.0.1:\(port)", tls: true, tls-verify: false}}
            """, "baton.yaml")
        let server = try Server(["--config", configuration], workers: 1)
        for violation in Self.ofUpstreams {
            let client = try Wire.connect(UInt16(server.port))
            let upstream = try ForgingPeer(accepting: listener, version: violation.version)
            try? upstream.send(violation.bytes(upstream))
            #expect(try upstream.end() == violation.alert, "\(violation.testDescription)")
            withExtendedLifetime(client) {}
        }
        try server.log("upstream=web")
    }
}
