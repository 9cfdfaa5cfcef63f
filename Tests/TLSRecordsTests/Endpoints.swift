import BatonCore
import TLSRecords
import Testing

@testable import TLSRecords

/// The two ends of one established connection, made from random secrets.
struct Endpoints: ~Copyable {
    var client: Connection
    var server: Connection

    init(
        _ suite: CipherSuite, clientLimits: RecordLimits? = nil, serverLimits: RecordLimits? = nil,
        explicitNonce: UInt64 = 7
    ) {
        let secrets = SecretPair(suite)
        client = Connection(resuming: secrets.snapshot(.client, limits: clientLimits, explicitNonce: explicitNonce))
        server = Connection(resuming: secrets.snapshot(.server, limits: serverLimits, explicitNonce: explicitNonce))
    }

    /// Carries what one side has queued to the other.
    mutating func flushToServer() { transfer(&client, &server) }
    mutating func flushToClient() { transfer(&server, &client) }

    /// The client may change its key 32 times in a row, and not once more.
    mutating func expectFloodOfKeyUpdatesToEnd() throws {
        for _ in 0..<32 {
            try client.updateKeys()
            flushToServer()
            _ = try server.readAll()
        }
        try client.updateKeys()
        flushToServer()
        #expect(expectedFailure(&server)?.code == .tooManyKeyUpdates)
    }

    /// The server's end gets another owner.
    mutating func moveServer() {
        self = Endpoints(client: client, server: server.movedThroughBytes())
    }

    private init(client: consuming Connection, server: consuming Connection) {
        self.client = client
        self.server = server
    }
}

/// The secrets of both directions.
struct SecretPair: ~Copyable {
    let suite: CipherSuite
    let client: SecretBytes
    let server: SecretBytes

    init(_ suite: CipherSuite) {
        self.suite = suite
        client = .random(DirectionState.secretLength(suite))
        server = .random(DirectionState.secretLength(suite))
    }

    borrowing func snapshot(
        _ role: Role, limits: RecordLimits? = nil, explicitNonce: UInt64 = 7, info: ConnectionInfo? = nil
    ) -> Snapshot {
        let isClient = role == .client
        return Snapshot(
            established: info ?? ConnectionInfo(role: role, suite: suite), limits: limits,
            read: DirectionState(secret: isClient ? server.copy() : client.copy()),
            write: DirectionState(
                secret: isClient ? client.copy() : server.copy(),
                explicitNonce: suite.usesExplicitNonce ? explicitNonce : 0),
            exporter: .random(suite.version == .tls13 ? suite.hash.length : TLS12Exporter.length))!
    }

    /// Seals as the peer of a `role` connection would, record by record.
    borrowing func forger(against role: Role) -> RecordForger {
        RecordForger(suite: suite, secret: role == .server ? client.copy() : server.copy())
    }
}

/// A peer that can send any record, legal or not.
struct RecordForger: ~Copyable {
    var protection: RecordProtection

    init(suite: CipherSuite, secret: consuming SecretBytes) {
        protection = RecordProtection(suite: suite, state: DirectionState(secret: secret))
    }

    mutating func record(_ type: ContentType, _ content: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: content.count + 64)
        let length = content.withUnsafeBytes { content in
            output.withUnsafeMutableBytes { protection.seal(type, content, to: $0.baseAddress!) }
        }
        return Array(output[..<length])
    }

    /// A TLS 1.3 record whose inner plaintext is exactly `inner`, type and padding included.
    borrowing func record(inner: [UInt8], sequence: UInt64) -> [UInt8] {
        let aead = protection.suite.aead
        let key = KeySchedule.expandLabel(
            "key", secret: protection.state.secret, length: aead.keyLength, hash: protection.suite.hash)
        let iv = KeySchedule.expandLabel("iv", secret: protection.state.secret, length: 12, hash: protection.suite.hash)
        let context = key.withUnsafeBytes { key in
            iv.withUnsafeBytes { AEADContext(aead, key: key, iv: $0, for: .seal) }
        }
        var output = [UInt8](repeating: 0, count: 5 + inner.count + 16)
        output.withUnsafeMutableBytes { output in
            RecordHeader(type: .applicationData, length: inner.count + 16).write(to: output.baseAddress!)
            inner.withUnsafeBytes {
                _ = context.seal(
                    $0, trailer: -1, nonce: context.nonce(sequence: sequence),
                    additionalData: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(output)[..<5]),
                    to: output.baseAddress! + 5)
            }
        }
        return output
    }

    static func keyUpdate(_ request: UInt8) -> [UInt8] { [24, 0, 0, 1, request] }
}

extension SecretBytes {
    static func random(_ count: Int) -> SecretBytes {
        var generator = SystemRandomNumberGenerator()
        return SecretBytes(count: count) { target in
            for index in target.indices { target[index] = generator.next() }
        }
    }

    func array() -> [UInt8] { withUnsafeBytes { Array($0) } }
}

extension Snapshot {
    /// The snapshot written down, without giving it up: tests look at it again.
    borrowing func written() -> [UInt8] {
        var output = ByteQueue()
        encode(to: &output)
        return output.withBytes { Array($0) }
    }
}

extension Connection {
    /// The connection after it has been suspended, written down, read again and resumed: another owner's.
    consuming func movedThroughBytes() -> Connection {
        let written = suspend().written()
        do {
            return Connection(resuming: try Snapshot(decoding: written.span.bytes))
        } catch {
            fatalError("a snapshot that was just written cannot be read: \(error)")
        }
    }

    mutating func receive(_ bytes: [UInt8]) { receive(bytes.span.bytes) }
    mutating func send(_ bytes: [UInt8]) throws { try send(bytes.span.bytes) }

    /// Takes everything that is queued.
    mutating func takeOutgoing() -> [UInt8] {
        let bytes = withOutgoing { span in span.withUnsafeBytes { Array($0) } }
        didWrite(bytes.count)
        return bytes
    }

    /// Reads everything that has arrived, and the events between.
    mutating func readAll() throws(TLSError) -> (data: [UInt8], events: [Event]) {
        var data: [UInt8] = []
        var events: [Event] = []
        while let event = try nextEvent() {
            if case .applicationData(let count) = event {
                withUnread { span in span.withUnsafeBytes { data += $0 } }
                consumeUnread(count)
            } else {
                events.append(event)
            }
        }
        return (data, events)
    }
}

func transfer(_ from: inout Connection, _ to: inout Connection) {
    to.receive(from.takeOutgoing())
}

func pattern(_ count: Int, seed: UInt8 = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) &+ seed }
}

/// Runs `body` and checks that it throws a TLSError with this code, with this alert queued.
func expectedFailure(_ connection: inout Connection) -> TLSError? {
    do {
        _ = try connection.readAll()
        return nil
    } catch {
        return error
    }
}
