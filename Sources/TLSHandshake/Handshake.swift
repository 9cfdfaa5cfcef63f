internal import BatonCore
internal import COpenSSL
public import TLSRecords

/// One TLS handshake: bytes of the peer in, bytes for the peer out, and at its end a `Connection`.
///
/// ```swift
/// var handshake = Handshake(server: context)
/// while try handshake.advance() == .needsInput {
///     // write what `withOutgoing` lends, then read from the socket
///     handshake.receive(bytesFromTheSocket)
/// }
/// var connection = try handshake.connection()
/// ```
///
/// The handshake itself is OpenSSL's, over memory: it never touches a socket, and its object is freed when the connection
/// is taken over. It is given one whole record at a time, so it never reads beyond the end of the handshake; what
/// arrived behind it becomes the connection's inbound ciphertext, and what has not been written yet its outgoing.
///
/// It has no clock: the caller gives up on a peer that takes too long.
public struct Handshake: ~Copyable, Sendable {
    /// What to do next.
    public enum Progress: Sendable, Equatable {
        /// Write what is outgoing, then call `receive` with more bytes of the peer, and `advance` again.
        case needsInput
        /// The handshake is done: take the connection. What is outgoing is written by it.
        case established
    }

    /// The most handshake bytes taken from a peer, unless set otherwise. A chain of certificates with post-quantum
    /// signatures fits.
    public static let defaultMaximumLength = 131_072

    /// The most bytes of a ClientHello, with its record headers. Those of browsers with post-quantum key shares have 2 KB.
    public static let longestClientHello = 32_768

    let role: Role
    /// `nil` while the context is still to be chosen, and where memory is short.
    private(set) var session: LibrarySession?
    var observer: HandshakeObserver
    var inbound = ByteQueue()
    var output = ByteQueue()
    private let maximumLength: Int
    private var asksForCertificate: Bool
    private var choice: ServerContextChoice?
    private var fedLength = 0
    /// How much of what waits the observer has been shown, because there is no library yet that could be given it.
    private var shownLength = 0
    private var hasStarted = false
    private var hasAnswered = false
    private var failure: HandshakeError?

    /// What the handshake settled; `nil` until it is established.
    public private(set) var info: ConnectionInfo?

    /// What the certificates of a server's handshake say, if its context reads it; `nil` until it is established.
    package private(set) var facts: HandshakeFacts?

    /// The server's side of a handshake.
    ///
    /// - Parameter maximumLength: the most handshake bytes to take from the client.
    public init(server context: ServerContext, maximumLength: Int = defaultMaximumLength) {
        role = .server
        session = LibrarySession(context.library, server: context)
        observer = HandshakeObserver(role: .server, maximumLength: maximumLength)
        self.maximumLength = maximumLength
        asksForCertificate = context.verifiesClients
        if let session { SSL_set_accept_state(session.ssl) }
    }

    /// The server's side of a handshake, whose context is chosen by what the client asks for: its certificates, what it demands of
    /// clients, its application protocols.
    ///
    /// - Parameters:
    ///   - choice: is asked once, when the whole ClientHello has come. It must not block. `nil` refuses the client with the alert
    ///     `unrecognized_name`.
    ///   - maximumLength: the most handshake bytes to take from the client.
    public init(choosing choice: @escaping ServerContextChoice, maximumLength: Int = defaultMaximumLength) {
        role = .server
        session = nil
        observer = HandshakeObserver(role: .server, maximumLength: maximumLength)
        self.maximumLength = maximumLength
        asksForCertificate = false
        self.choice = choice
    }

    /// The client's side of a handshake.
    ///
    /// - Parameters:
    ///   - serverName: the host name or address that the server's certificate must be for. A host name is also sent to
    ///     the server (SNI). It may be empty only where the context verifies nothing.
    ///   - session: an earlier session with this server, to be resumed if the server still knows it.
    ///   - maximumLength: the most handshake bytes to take from the server.
    /// - Throws: `badServerName` if the name is neither a host name nor an address.
    public init(
        client context: ClientContext, serverName: String, resuming earlier: ClientSession? = nil,
        maximumLength: Int = defaultMaximumLength
    ) throws(TLSConfigurationError) {
        role = .client
        session = LibrarySession(context.library, client: context)
        observer = HandshakeObserver(role: .client, maximumLength: maximumLength)
        self.maximumLength = maximumLength
        asksForCertificate = context.looksAtServer
        guard let session else { return }
        SSL_set_connect_state(session.ssl)
        session.expectedName = serverName.isEmpty ? nil : serverName
        try session.expect(serverName, isVerified: context.verifiesServer)
        let identity = context.verification + Array(CertificateNamePattern.normalise(serverName).utf8)
        session.expectedIdentity = identity.withUnsafeBytes { HashFunction.sha256.hash($0) }
        // A resumed handshake verifies nothing, so a session is offered only where its own handshake verified the same
        // name against the same roots. Otherwise a full handshake follows.
        if let earlier, earlier.identity == session.expectedIdentity { SSL_set_session(session.ssl, earlier.pointer) }
    }

    // MARK: Bytes

    /// Takes bytes as they came from the peer, in pieces of any size. `advance` acts on them.
    /// What arrives after a failure is dropped.
    public mutating func receive(_ bytes: RawSpan) {
        guard failure == nil else { return }
        bytes.withUnsafeBytes { inbound.append($0) }
    }

    /// Says that the peer has closed its side.
    ///
    /// - Throws: always, `closed` unless the handshake has already failed or is established.
    public mutating func receiveEnd() throws(HandshakeError) {
        if let failure { throw failure }
        guard info == nil else { return }
        throw fail(
            HandshakeError(
                .closed,
                "the \(peerName) closed the connection during the handshake; its own log may tell why"))
    }

    /// Bytes to write to the peer. There may be some after every call of `advance`, also after one that threw: the alert
    /// that tells the peer why.
    public var outgoingCount: Int { output.count }

    /// Lends the bytes to write; follow with `didWrite`.
    public borrowing func withOutgoing<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        try output.withBytes { (bytes) throws(E) in try body(bytes.bytes) }
    }

    /// Says that the transport took the first `n` of the outgoing bytes. At most `outgoingCount`.
    public mutating func didWrite(_ n: Int) { output.consume(n) }

    // MARK: Progress

    /// Goes as far as the bytes received allow.
    ///
    /// - Throws: when the handshake has failed; every further call throws the same error.
    public mutating func advance() throws(HandshakeError) -> Progress {
        if let failure { throw failure }
        guard info == nil else { return .established }
        if let choice {
            guard try choose(by: choice) else { return .needsInput }
            self.choice = nil
        }
        if !hasStarted {
            hasStarted = true
            if role == .client { try step() }
        }
        while info == nil, let header = try nextHeader() {
            let length = RecordHeader.length + header.length
            try checkLimit(fedLength + length)
            guard inbound.count >= length else { return .needsInput }
            fedLength += length
            if shownLength > 0 { shownLength -= length } else { try showRecord(at: 0, length) }
            let isWrong = inbound.withBytes {
                RecordHeader.isWrongChangeCipherSpec(UnsafeRawBufferPointer(rebasing: $0[..<length]))
            }
            if isWrong, observer.isTLS13 {
                inbound.consume(length)
                try step { $0.refuse() }
            } else {
                guard feed(length) else { throw fail(.outOfMemory) }
                try step()
            }
        }
        return info == nil ? .needsInput : .established
    }

    /// Chooses the context, if the ClientHello has come. Its records are looked at one by one, each once, and wait for the library that
    /// comes with the context.
    ///
    /// - Returns: whether it has.
    private mutating func choose(by choice: ServerContextChoice) throws(HandshakeError) -> Bool {
        while observer.clientHello == nil {
            guard let header = try nextHeader(at: shownLength) else { return false }
            let length = RecordHeader.length + header.length
            try checkLimit(shownLength + length)
            guard inbound.count >= shownLength + length else { return false }
            guard header.type == ContentType.handshake.rawValue else {
                throw refuse(.unexpectedMessage, "the client sent another record than its hello")
            }
            try showRecord(at: shownLength, length)
            shownLength += length
        }
        guard let hello = observer.clientHello, let context = choice(hello) else {
            appendAlert(.unrecognizedName)
            let asked = observer.clientHello?.serverName.map { "asks for '\($0)'" } ?? "asks for no server name"
            throw fail(
                HandshakeError(
                    .unrecognizedName, alert: .unrecognizedName,
                    "the client \(asked), and this application has nothing for it"))
        }
        session = LibrarySession(context.library, server: context)
        asksForCertificate = context.verifiesClients
        guard let session else { throw fail(.outOfMemory) }
        SSL_set_accept_state(session.ssl)
        return true
    }

    /// Refuses a peer of which so many bytes are more than are taken.
    private mutating func checkLimit(_ length: Int) throws(HandshakeError) {
        // Until the server has answered, all of it is the ClientHello. Certificates may be longer.
        let isHello = role == .server && !hasAnswered
        let limit = isHello ? min(maximumLength, Self.longestClientHello) : maximumLength
        guard length > limit else { return }
        if isHello { appendAlert(.decodeError) }
        throw fail(
            HandshakeError(
                .tooLong, alert: isHello ? .decodeError : nil,
                "the \(peerName) sends more than \(limit) bytes of handshake; it is refused"))
    }

    /// The header of the next record, if enough has come to tell that there is one.
    ///
    /// - Parameter offset: how much of what waits stands before it.
    private mutating func nextHeader(at offset: Int = 0) throws(HandshakeError) -> RecordHeader? {
        // A record that is only of the wrong type is the library's, which knows the alert for it.
        if fedLength == 0, offset == 0, !inbound.withBytes({ RecordHeader.mayBegin($0) }),
            let kind = inbound.withBytes({ ClientHelloReading.notTLS(firstBytes: $0) })
        {
            throw refuse(kind)
        }
        let read = inbound.withBytes { RecordHeader(UnsafeRawBufferPointer(rebasing: $0[offset...])) }
        guard let header = read else { return nil }
        let field = header.impossibleField
        guard role == .client || hasAnswered else {
            // There may be no library yet to refuse it, and by the header alone the library does not always.
            guard field == nil, header.length <= RecordHeader.longestPlaintext else { throw refuse(header) }
            return header
        }
        guard let field else { return header }
        // The library knows the alert for it.
        _ = feed(min(inbound.count, RecordHeader.length + RecordHeader.longestFragment))
        try step()
        throw fail(HandshakeError(.protocolViolation, "the \(peerName) sent a record with an impossible \(field)"))
    }

    /// Refuses a record by its header, with the alert that the library has for it.
    private mutating func refuse(_ header: RecordHeader) -> HandshakeError {
        if ContentType(rawValue: header.type) == nil {
            return refuse(.unexpectedMessage, "the client sent a record of an unknown type")
        }
        if header.version >> 8 != 3 {
            appendAlert(.protocolVersion)
            return fail(
                HandshakeError(
                    .unsupportedVersion, alert: .protocolVersion,
                    "the client sent a record of another version; it is refused"))
        }
        return refuse(.recordOverflow, "the client sent a record that is too long")
    }

    private mutating func refuse(_ kind: NotTLS) -> HandshakeError {
        switch kind {
        case .plainHTTP:
            let answer = "HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks HTTPS; use https:// instead of http://.\n"
            Array(answer.utf8).withUnsafeBytes { output.append($0) }
            return fail(
                HandshakeError(.plainHTTP, "plain HTTP on a TLS port: the client must use https:// instead of http://"))
        case .sslv2:
            appendAlert(.protocolVersion)
            return fail(
                HandshakeError(
                    .unsupportedVersion, alert: .protocolVersion,
                    "the client speaks SSL 2.0; it must use TLS 1.2 or newer"))
        case .otherProtocol, .malformedHello:
            return fail(
                HandshakeError(.notTLS, "the \(peerName) does not speak TLS; check that it is meant for this port"))
        }
    }

    private mutating func refuse(_ alert: Alert, _ why: String) -> HandshakeError {
        appendAlert(alert)
        return fail(HandshakeError(.protocolViolation, alert: alert, "\(why); it is refused"))
    }

    /// Queues a fatal alert before the library has sent anything. Only an initial ClientHello may have another record
    /// version (RFC 8446 section 5.1).
    private mutating func appendAlert(_ alert: Alert) {
        [ContentType.alert.rawValue, 3, 3, 0, 2, 2, alert.rawValue].withUnsafeBytes { output.append($0) }
    }

    /// Gives the first `length` received bytes to the library.
    private mutating func feed(_ length: Int) -> Bool {
        guard let session else { return false }
        let isTaken = inbound.withBytes { session.write(UnsafeRawBufferPointer(rebasing: $0[..<length])) }
        inbound.consume(length)
        return isTaken
    }

    /// Shows the observer the received record that begins at `offset`.
    private mutating func showRecord(at offset: Int, _ length: Int) throws(HandshakeError) {
        try show { (observer, bytes) throws(HandshakeObserverError) in
            try observer.sawReceived(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length]).bytes)
        }
    }

    /// Lends the received bytes to the observer.
    private mutating func show(
        _ body: (inout HandshakeObserver, UnsafeRawBufferPointer) throws(HandshakeObserverError) -> Void
    ) throws(HandshakeError) {
        var waiting = ByteQueue()
        swap(&waiting, &inbound)
        defer { swap(&waiting, &inbound) }
        do {
            try waiting.withBytes { (bytes) throws(HandshakeObserverError) in try body(&observer, bytes) }
        } catch {
            // What the observer cannot read it cannot follow, whatever the library makes of it.
            switch error {
            case .malformed("hello"):
                throw refuse(.decodeError, "the \(peerName)'s hello is malformed")
            case .outOfPlace(let what):
                throw refuse(.unexpectedMessage, "the \(peerName) sent \(what)")
            // Other records out of place are the library's to refuse, which knows the alert for them.
            case .malformed: return
            default: break
            }
            throw fail(HandshakeError(.protocolViolation, "the \(peerName)'s handshake cannot be followed: \(error)"))
        }
    }

    /// Lets the library work, and takes what it has to say.
    private mutating func step(
        _ work: (LibrarySession) -> LibrarySession.Outcome = { $0.handshake() }
    ) throws(HandshakeError) {
        guard let session else { throw fail(.outOfMemory) }
        var outcome = work(session)
        if case .failed = outcome {} else if session.hasInterleaved { outcome = session.refuse() }
        var produced = ByteQueue()
        session.moveOutput(to: &produced)
        produced.withBytes { output.append($0) }
        if produced.count > 0 { hasAnswered = true }
        if case .failed(let error) = outcome { throw fail(session.describe(error, peer: peerName, role: role)) }
        do {
            try produced.withBytes { (bytes) throws(HandshakeObserverError) in try observer.sawSent(bytes.bytes) }
            let lines = session.takeKeyLog()
            try lines.withBytes { (bytes) throws(HandshakeObserverError) in
                for line in bytes.split(separator: UInt8(ascii: "\n")) {
                    try observer.keyLog(UnsafeRawBufferPointer(rebasing: line).bytes)
                }
            }
        } catch {
            throw fail(HandshakeError(.internalFailure, fault: .local, "the handshake cannot be taken over: \(error)"))
        }
        if case .done = outcome { try establish(session) }
    }

    private mutating func establish(_ session: LibrarySession) throws(HandshakeError) {
        guard var info = observer.info else {
            throw fail(
                HandshakeError(.internalFailure, fault: .local, "the handshake cannot be taken over: no hello was seen")
            )
        }
        guard SSL_has_pending(session.ssl) == 0 else {
            throw fail(
                HandshakeError(
                    .protocolViolation, "the \(peerName) sent more behind its Finished message in the same record"))
        }
        session.settle(&info, asksForCertificate: asksForCertificate)
        if session.server?.readsFacts == true { facts = session.facts() }
        self.info = info
    }

    private mutating func fail(_ error: HandshakeError) -> HandshakeError {
        failure = error
        inbound.removeAll()
        return error
    }

    private var peerName: String { role == .server ? "client" : "server" }
}

/// Chooses the context of a handshake by what the client says first; `nil` refuses it. It is called on the thread that makes the
/// handshake, and must not block.
public typealias ServerContextChoice = @Sendable (ClientHello) -> ServerContext?
