internal import BatonCore
public import TLSRecords

/// Takes a TLS connection over from the library that made its handshake, whichever that is.
///
/// It sits beneath the library: it is shown the bytes that pass in both directions, in any pieces, and the library's
/// NSS key log. From the plaintext hellos it has the version, the suite and both randoms; from the log the secrets. The
/// number of the next record it finds by trial: records under the handshake keys have the same outer type as those
/// under the application keys, so it tries each with the application key at sequence number 0, and the first that opens
/// has that number (RFC 8446 section 5.3). Later key updates are followed.
///
/// It does no I/O and does not take part in the handshake; it trusts the library to verify certificates and Finished
/// messages and is to be asked for the connection only once the library says that the handshake is done.
///
/// - Important: After `snapshot` the library must write nothing: two holders would use a nonce twice.
public struct HandshakeObserver: ~Copyable, Sendable {
    /// The most bytes kept while the hellos or the secrets are missing, for each direction, unless set otherwise.
    public static let defaultMaximumLength = 262_144

    /// Which side of the handshake the library has.
    public let role: Role

    /// What the hellos settled; `nil` until the ServerHello has been seen.
    public private(set) var info: ConnectionInfo?

    /// The random of the ClientHello, 32 bytes, by which key logs name the connection.
    public private(set) var clientRandom: [UInt8]?

    /// Whether the version is known to be TLS 1.3; a HelloRetryRequest settles that before the ServerHello does.
    var isTLS13: Bool { hasRetried || info?.version == .tls13 }

    /// The client's first hello, once it has been seen; its second differs in nothing that is read here.
    private(set) var clientHello: ClientHello?

    private var hasRetried = false
    private var serverRandom: [UInt8] = []
    private var maximumFragmentLengthCode: UInt8?
    private var client: ObservedDirection
    private var server: ObservedDirection
    /// TLS 1.3: the exporter secret. TLS 1.2: the master secret and both randoms.
    private var exporter: SecretBytes?
    private var owesKeyUpdate = false

    /// Begins before the first byte of the handshake.
    ///
    /// - Parameters:
    ///   - role: which side the library has.
    ///   - maximumLength: the most bytes to keep for each direction.
    public init(role: Role, maximumLength: Int = defaultMaximumLength) {
        self.role = role
        client = ObservedDirection(sender: .client, maximumLength: maximumLength)
        server = ObservedDirection(sender: .server, maximumLength: maximumLength)
    }

    /// The library produced these bytes for the peer.
    public mutating func sawSent(_ bytes: RawSpan) throws(HandshakeObserverError) {
        try saw(bytes, from: role)
    }

    /// These bytes of the peer were given to the library. Show them before the library has them.
    public mutating func sawReceived(_ bytes: RawSpan) throws(HandshakeObserverError) {
        try saw(bytes, from: role == .client ? .server : .client)
    }

    /// One line of the library's key log, with or without its end of line. Lines of other connections, and labels of no
    /// use here, are ignored.
    public mutating func keyLog(_ line: RawSpan) throws(HandshakeObserverError) {
        guard let line = line.withUnsafeBytes({ KeyLogLine($0) }), line.clientRandom == clientRandom else { return }
        // The library logs nothing we want before it has both hellos, and so have we.
        guard let suite = info?.suite else { return }
        switch (line.label, suite.version) {
        case (.clientTraffic, .tls13): note(try client.start(line.secret.copy(), suite: suite), from: .client)
        case (.serverTraffic, .tls13): note(try server.start(line.secret.copy(), suite: suite), from: .server)
        case (.exporter, .tls13): exporter = line.secret.copy()
        case (.master, .tls12): try start(master: line.secret, suite: suite)
        default: break
        }
    }

    private mutating func start(
        master: borrowing SecretBytes, suite: CipherSuite
    ) throws(HandshakeObserverError) {
        guard master.count == 48, let clientRandom, !client.isStarted else { return }
        let keys = master.withUnsafeBytes {
            KeySchedule.tls12Keys(master: $0, clientRandom: clientRandom, serverRandom: serverRandom, suite: suite)
        }
        let randoms = clientRandom + serverRandom
        exporter = SecretBytes(count: 48 + randoms.count) { target in
            master.withUnsafeBytes { target.copyMemory(from: $0) }
            UnsafeMutableRawBufferPointer(rebasing: target[48...]).copyBytes(from: randoms)
        }
        note(try client.start(keys.client.copy(), suite: suite), from: .client)
        note(try server.start(keys.server.copy(), suite: suite), from: .server)
    }

    private mutating func saw(_ bytes: RawSpan, from sender: Role) throws(HandshakeObserverError) {
        switch sender {
        case .client:
            bytes.withUnsafeBytes { client.append($0) }
            while let observations = try client.nextRecord() { try take(observations, from: .client) }
        case .server:
            bytes.withUnsafeBytes { server.append($0) }
            while let observations = try server.nextRecord() { try take(observations, from: .server) }
        }
    }

    private mutating func take(
        _ observations: [ObservedDirection.Observation], from sender: Role
    ) throws(HandshakeObserverError) {
        for observation in observations {
            switch observation {
            case .clientHello(let hello):
                clientHello = hello
                clientRandom = hello.random
            case .serverHello(let hello) where !hello.isHelloRetryRequest:
                try settle(hello)
            case .serverHello: hasRetried = true
            default: break
            }
        }
        note(observations, from: sender)
    }

    private mutating func note(_ observations: [ObservedDirection.Observation], from sender: Role) {
        for case .keyUpdate(let requested) in observations {
            if sender == role { owesKeyUpdate = false } else if requested { owesKeyUpdate = true }
        }
    }

    private mutating func settle(_ hello: ServerHello) throws(HandshakeObserverError) {
        guard let version = TLSVersion(rawValue: hello.version) else { throw .unsupportedVersion(hello.version) }
        guard let suite = CipherSuite(rawValue: hello.suite), suite.version == version else {
            throw .unsupportedCipherSuite(hello.suite)
        }
        serverRandom = hello.random
        maximumFragmentLengthCode = hello.maximumFragmentLengthCode
        info = ConnectionInfo(
            role: role, suite: suite, serverName: clientHello?.serverName,
            usesExtendedMasterSecret: version == .tls12 && hello.usesExtendedMasterSecret)
        client.suite = suite
        server.suite = suite
    }

    /// Why the library has to write or to read once more before it can be asked for the connection; `nil`: it need not.
    package var obstacle: HandshakeObserverError? {
        if owesKeyUpdate { return .keyUpdateOwed }
        return client.isInsideMessage || server.isInsideMessage ? .insideMessage : nil
    }

    /// The connection, at rest. Bytes of a record whose end has not been shown are kept as its inbound ciphertext.
    ///
    /// - Parameters:
    ///   - info: what the library knows beyond the hellos; its role and suite must be those of `info` here.
    ///   - limits: record sizes that were agreed on encrypted (TLS 1.3); `nil` for those of the hellos.
    ///   - outgoing: bytes already shown by `sawSent` that the transport has not taken.
    /// - Throws: `incomplete` if something was not seen, `keyUpdateOwed` if the library has to write once more,
    ///   `insideMessage` if it has to read once more. The observer is gone then, and the connection stays with the library.
    public consuming func snapshot(
        info settled: ConnectionInfo? = nil, limits: RecordLimits? = nil, outgoing: RawSpan? = nil
    ) throws(HandshakeObserverError) -> Snapshot {
        var unwritten = ByteQueue()
        outgoing?.withUnsafeBytes { unwritten.append($0) }
        return try snapshot(info: settled, limits: limits, unwritten: unwritten)
    }

    consuming func snapshot(
        info settled: ConnectionInfo?, limits: RecordLimits?, unwritten: borrowing ByteQueue
    ) throws(HandshakeObserverError) -> Snapshot {
        guard let observed = info else { throw .incomplete }
        let info = settled ?? observed
        guard info.role == role, info.suite == observed.suite else { throw .incomplete }
        if let obstacle { throw obstacle }
        let limits = limits ?? RecordLimits(info.version, maximumFragmentLengthCode: maximumFragmentLengthCode)
        var inbound = ByteQueue()
        let isWhole: Bool
        switch role {
        case .client:
            server.partial.withBytes { inbound.append($0) }
            isWhole = client.partial.isEmpty
        case .server:
            client.partial.withBytes { inbound.append($0) }
            isWhole = server.partial.isEmpty
        }
        guard isWhole, let fromClient = client.takeState(), let fromServer = server.takeState() else {
            throw .incomplete
        }
        return switch role {
        case .client:
            try HandshakeObserver.snapshot(
                info, limits, read: fromServer, write: fromClient, exporter, inbound, unwritten)
        case .server:
            try HandshakeObserver.snapshot(
                info, limits, read: fromClient, write: fromServer, exporter, inbound, unwritten)
        }
    }

    /// Opens a record of the server that has not been shown yet, in place, and changes nothing else.
    borrowing func peekServer(_ record: inout ByteQueue, _ header: RecordHeader) -> OpenedRecord? {
        server.peek(&record, header)
    }

    private static func snapshot(
        _ info: ConnectionInfo, _ limits: RecordLimits, read: consuming DirectionState,
        write: consuming DirectionState, _ exporter: consuming SecretBytes?, _ inbound: borrowing ByteQueue,
        _ outgoing: borrowing ByteQueue
    ) throws(HandshakeObserverError) -> Snapshot {
        // How much the peer's key has protected is the peer's to count.
        read.blocks = 0
        read.explicitNonce = 0
        // A closure cannot consume what it captures.
        var read: DirectionState? = consume read
        var write: DirectionState? = consume write
        var exporter = consume exporter
        let snapshot = inbound.withBytes { inbound in
            outgoing.withBytes { outgoing -> Snapshot? in
                guard let read = read.take(), let write = write.take() else { return nil }
                return Snapshot(
                    established: info, limits: limits, read: read, write: write, exporter: exporter.take(),
                    inbound: inbound, outgoing: outgoing)
            }
        }
        guard let snapshot else { throw .incomplete }
        return snapshot
    }
}
