internal import BatonCore
internal import TLSRecords

/// What one side of an observed handshake has sent.
struct ObservedDirection: ~Copyable, Sendable {
    /// What a record told.
    enum Observation: Sendable {
        case clientHello(ClientHello)
        case serverHello(ServerHello)
        case keyUpdate(requested: Bool)
    }

    let sender: Role
    let maximumLength: Int

    /// Known once the ServerHello has been seen.
    var suite: CipherSuite?

    /// The beginning of a record whose end has not been shown yet.
    private(set) var partial = ByteQueue()
    /// Plaintext handshake messages up to the hello.
    private var messages = ByteQueue()
    private var hasHello = false
    /// A client's first hello, which its second repeats.
    private var firstHello: ClientHello?
    /// A client: nothing more of its plaintext is looked at.
    private var hasSecondHello = false
    /// TLS 1.2: a ChangeCipherSpec has been seen, so every record from here on is protected.
    private var hasChangedCipher = false
    /// Protected records whose key has not been logged yet.
    private var held = ByteQueue()
    private var protection: RecordProtection?
    /// Whether a record has opened under the application keys: only the first is looked for by trial.
    private(set) var hasOpened = false
    private var follower = MessageFollower()
    private var nextExplicitNonce: UInt64 = 0
    private var blocks: UInt64 = 0

    init(sender: Role, maximumLength: Int) {
        self.sender = sender
        self.maximumLength = maximumLength
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) { partial.append(bytes) }

    /// Takes the next whole record; `nil` if there is none.
    mutating func nextRecord() throws(HandshakeObserverError) -> [Observation]? {
        guard let header = partial.withBytes({ RecordHeader($0) }) else { return nil }
        if let field = header.impossibleField { throw .malformed(field) }
        guard partial.count >= RecordHeader.length + header.length else { return nil }
        // Taken out while it is worked on, because the work changes the rest of this value.
        var queue = ByteQueue()
        swap(&queue, &partial)
        defer { swap(&queue, &partial) }
        let observations = try process(header, &queue)
        queue.consume(RecordHeader.length + header.length)
        return observations
    }

    private mutating func process(
        _ header: RecordHeader, _ queue: inout ByteQueue
    ) throws(HandshakeObserverError) -> [Observation] {
        if !hasHello, !hasChangedCipher { try check(header) }
        switch (ContentType(rawValue: header.type), suite?.version) {
        case _ where hasChangedCipher:
            return try protected(header, &queue)
        case (.changeCipherSpec, .tls12):
            hasChangedCipher = true
            return []
        case (.applicationData, .tls13), (.applicationData, nil):
            // Without a suite it is early data (RFC 8446 section 4.2.10), which never opens under these keys.
            return try protected(header, &queue)
        case (.handshake, _) where !hasHello:
            return try plaintext(header, &queue)
        case (.handshake, nil) where sender == .client && !hasSecondHello:
            return try plaintext(header, &queue)
        case (.applicationData, .tls12):
            throw .malformed("application data before the Finished message")
        default:
            // Handshake messages that do not concern us, alerts, and the change_cipher_spec of TLS 1.3's middlebox
            // compatibility mode (RFC 8446 appendix D.4).
            return []
        }
    }

    // MARK: Plaintext

    /// No version allows an empty fragment of anything but application data (RFC 8446 section 5.1, RFC 5246 section
    /// 6.2.1). Nothing may come between the pieces of a TLS 1.3 hello, and no client puts anything between those of
    /// another.
    private func check(_ header: RecordHeader) throws(HandshakeObserverError) {
        let type = ContentType(rawValue: header.type)
        if header.length == 0, type != .applicationData { throw .outOfPlace("an empty record") }
        if !messages.isEmpty, type != .handshake { throw .outOfPlace("a record inside the hello") }
    }

    private mutating func plaintext(
        _ header: RecordHeader, _ queue: inout ByteQueue
    ) throws(HandshakeObserverError) -> [Observation] {
        guard messages.count + header.length <= maximumLength else { throw .tooLong }
        queue.withBytes { bytes in
            messages.append(
                UnsafeRawBufferPointer(rebasing: bytes[RecordHeader.length..<RecordHeader.length + header.length]))
        }
        var observations: [Observation] = []
        while !hasHello || sender == .client && !hasSecondHello {
            let (sender, isLast) = (sender, suite != nil)
            let next = messages.withBytes { ObservedDirection.hello(in: $0, from: sender) }
            switch next {
            case .needMore:
                messages.releaseIfEmpty()
                return observations
            case .malformed: throw .malformed("hello")
            case .otherMessage:
                guard hasHello else { throw .outOfPlace("a first message that is no hello") }
                // What follows the first hello in place of another is the library's to judge.
                hasSecondHello = true
            case .ignored(let length): messages.consume(length)
            case .hello(.clientHello(let hello), let length):
                messages.consume(length)
                guard let firstHello else {
                    firstHello = hello
                    hasHello = true
                    observations.append(.clientHello(hello))
                    continue
                }
                guard firstHello.isRepeated(by: hello) else { throw .malformed("second hello") }
                hasSecondHello = true
            case .hello(let observation, let length):
                messages.consume(length)
                observations.append(observation)
                // Another hello follows a HelloRetryRequest (RFC 8446 section 4.1.4).
                if case .serverHello(let hello) = observation, hello.isHelloRetryRequest, !isLast { continue }
                hasHello = true
            }
        }
        messages.removeAll()
        messages.releaseIfEmpty()
        return observations
    }

    private enum Hello {
        case needMore
        case malformed
        case otherMessage
        /// A HelloRequest, which says nothing to a client in its handshake (RFC 5246 section 7.4.1.1).
        case ignored(length: Int)
        case hello(Observation, length: Int)
    }

    private static func hello(in bytes: UnsafeRawBufferPointer, from sender: Role) -> Hello {
        var reader = WireReader(bytes)
        guard let type = reader.uint8(), let length = reader.uint24() else { return .needMore }
        if type == 0, length == 0, sender == .server { return .ignored(length: 4) }
        guard type == (sender == .client ? 1 : 2) else { return .otherMessage }
        guard let body = reader.bytes(length) else { return .needMore }
        switch sender {
        case .client:
            guard case .success(let hello) = ClientHello.parse(body) else { return .malformed }
            return .hello(.clientHello(hello), length: 4 + length)
        case .server:
            guard let hello = ServerHello(body) else { return .malformed }
            return .hello(.serverHello(hello), length: 4 + length)
        }
    }

    // MARK: Protected

    private mutating func protected(
        _ header: RecordHeader, _ queue: inout ByteQueue
    ) throws(HandshakeObserverError) -> [Observation] {
        guard protection == nil else { return try open(header, &queue) }
        let length = RecordHeader.length + header.length
        guard held.count + length <= maximumLength else { throw .tooLong }
        queue.withBytes { held.append(UnsafeRawBufferPointer(rebasing: $0[..<length])) }
        return []
    }

    /// Sets the key from the log and opens what waited for it.
    mutating func start(
        _ secret: consuming SecretBytes, suite: CipherSuite
    ) throws(HandshakeObserverError) -> [Observation] {
        guard protection == nil else { return [] }
        guard secret.count == DirectionState.secretLength(suite) else { throw .wrongSecret }
        protection = RecordProtection(suite: suite, state: DirectionState(secret: secret))
        var waiting = ByteQueue()
        swap(&waiting, &held)
        var observations: [Observation] = []
        while let header = waiting.withBytes({ RecordHeader($0) }) {
            observations += try open(header, &waiting)
            waiting.consume(RecordHeader.length + header.length)
        }
        return observations
    }

    var isStarted: Bool { protection != nil }

    /// Opens the whole record at the front of `queue`, in place.
    private mutating func open(
        _ header: RecordHeader, _ queue: inout ByteQueue
    ) throws(HandshakeObserverError) -> [Observation] {
        guard let suite else { return [] }
        let explicitNonce = queue.withBytes { bytes in
            var reader = WireReader(UnsafeRawBufferPointer(rebasing: bytes[RecordHeader.length...]))
            return reader.uint64() ?? 0
        }
        let opened = queue.withMutableBytes { bytes in
            bytes.baseAddress.flatMap { protection?.open($0, header: header) }
        }
        guard let opened else {
            // Records under the handshake keys come first in TLS 1.3 and look the same from outside.
            guard suite.version == .tls13, !hasOpened else { throw .wrongSecret }
            return []
        }
        hasOpened = true
        blocks += RecordProtection.blocks(opened.innerLength)
        if suite.version == .tls12, suite.aead.tls12ExplicitNonceLength > 0 { nextExplicitNonce = explicitNonce &+ 1 }
        guard suite.version == .tls13, opened.type == ContentType.handshake.rawValue else { return [] }
        let updates = queue.withBytes {
            follower.follow(UnsafeRawBufferPointer(rebasing: $0[opened.offset..<opened.offset + opened.count]))
        }
        for _ in updates {
            protection?.updateSecret()
            blocks = 0
        }
        return updates.map { .keyUpdate(requested: $0) }
    }

    /// Opens the next record, which is not to be shown until later, and changes nothing but the bytes of it.
    borrowing func peek(_ record: inout ByteQueue, _ header: RecordHeader) -> OpenedRecord? {
        switch protection {
        case .none: return nil
        case .some(let protection):
            let state = DirectionState(secret: protection.state.secret.copy(), sequence: protection.state.sequence)
            var trial = RecordProtection(suite: protection.suite, state: state)
            return record.withMutableBytes { bytes in bytes.baseAddress.flatMap { trial.open($0, header: header) } }
        }
    }

    /// Whether the records seen end inside a post-handshake message.
    var isInsideMessage: Bool { follower.isInsideMessage }

    /// The state behind everything seen; `nil` if the keys are unknown, or TLS 1.2's Finished has not been seen.
    mutating func takeState() -> DirectionState? {
        guard let suite, suite.version == .tls13 || hasOpened else { return nil }
        guard var state = protection.take()?.intoState() else { return nil }
        state.explicitNonce = nextExplicitNonce
        state.blocks = blocks
        return state
    }
}
