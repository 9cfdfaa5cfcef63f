import Glibc
package import TLSHandshake
package import TLSRecords

/// A connection and its socket, driven by calls that wait.
package struct Session: ~Copyable {
    package var connection: Connection
    package let wire: Wire
    /// Events seen that are not application data.
    package private(set) var events: [Event] = []
    private var received: [UInt8] = []

    package init(_ connection: consuming Connection, over wire: Wire) {
        self.connection = connection
        self.wire = wire
    }

    /// Makes the handshake.
    ///
    /// - Parameter writesLastFlight: whether what the handshake leaves to be written is written now.
    package init(_ wire: Wire, _ handshake: consuming Handshake, writesLastFlight: Bool = true) throws {
        self.init(try wire.handshake(handshake, writesLastFlight: writesLastFlight), over: wire)
    }

    package mutating func send(_ text: String) throws {
        try connection.send(Array(text.utf8).span.bytes)
        try flush()
    }

    /// Writes all that waits, waiting for the peer to take it.
    package mutating func flush() throws {
        // What is queued while the last of it is written (an owed KeyUpdate) goes too.
        while connection.outgoingCount > 0 {
            let bytes = connection.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
            try wire.write(bytes)
            connection.didWrite(bytes.count)
        }
    }

    /// Writes at most `most` bytes of what waits, without waiting.
    ///
    /// - Returns: how many the socket took; 0 if it takes none.
    package mutating func writeSome(_ most: Int) throws -> Int {
        let bytes = connection.withOutgoing { span in span.withUnsafeBytes { Array($0.prefix(most)) } }
        let count = try wire.writeSome(bytes)
        connection.didWrite(count)
        return count
    }

    // MARK: Reading

    /// Reads until what has arrived contains `text`, and takes all up to its end.
    package mutating func expect(_ text: String) throws {
        let words = Array(text.utf8)
        while true {
            if let range = received.firstRange(of: words) {
                received.removeSubrange(..<range.upperBound)
                return
            }
            if try !takeEvent() { try fetch(lackOf: text) }
        }
    }

    /// Reads the next line, without its end.
    package mutating func line() throws -> String {
        while true {
            if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                defer { received.removeSubrange(...end) }
                return String(decoding: received[..<end], as: UTF8.self)
            }
            if try !takeEvent() { try fetch(lackOf: "a line") }
        }
    }

    /// Reads `count` bytes.
    package mutating func bytes(_ count: Int) throws -> [UInt8] {
        while received.count < count {
            if try !takeEvent() { try fetch(lackOf: "\(count) bytes") }
        }
        defer { received.removeFirst(count) }
        return Array(received.prefix(count))
    }

    /// Reads until an event that fulfils `condition` has come.
    package mutating func await(_ what: String, _ condition: (Event) -> Bool) throws {
        while !events.contains(where: condition) {
            if try !takeEvent() { try fetch(lackOf: what) }
        }
    }

    /// Takes the next event; `false` if more ciphertext is needed. Answers are written at once.
    private mutating func takeEvent() throws -> Bool {
        let event = try connection.nextEvent()
        switch event {
        case nil: return false
        case .applicationData(let count):
            connection.withUnread { span in span.withUnsafeBytes { received += $0 } }
            connection.consumeUnread(count)
        case .some(let event):
            events.append(event)
        }
        try flush()
        return true
    }

    /// Waits for the next event, writes no answer to it.
    package mutating func unansweredEvent() throws -> Event {
        while true {
            if let event = try connection.nextEvent() { return event }
            let bytes = try wire.read()
            connection.receive(bytes.span.bytes)
        }
    }

    private mutating func fetch(lackOf what: String) throws {
        guard !connection.isReadClosed else { throw WireError("close_notify instead of '\(what)'") }
        let bytes = try wire.read()
        guard !bytes.isEmpty else {
            throw WireError("the end instead of '\(what)', after '\(String(decoding: received, as: UTF8.self))'")
        }
        connection.receive(bytes.span.bytes)
    }

    /// Reads one byte from the socket; what it completes is taken by the next owner, to whom the connection then goes.
    package consuming func movedByByte() throws -> Session {
        let bytes = try wire.read(upTo: 1)
        guard !bytes.isEmpty else { throw WireError("the end instead of a byte") }
        connection.receive(bytes.span.bytes)
        var session = try moved()
        _ = try session.takeEvent()
        return session
    }

    package mutating func close() throws {
        connection.close()
        try flush()
    }

    // MARK: Moving

    /// The connection at rest. What was read and not asked for would be lost with the session, so there is none.
    package consuming func suspend() -> Snapshot {
        precondition(received.isEmpty, "\(received.count) bytes were read and not expected")
        return connection.suspend()
    }

    /// The same connection under another owner, who got it as sealed bytes.
    package consuming func moved() throws -> Session {
        let key = SealKey.random()
        let receiver = ReceiverID.random()
        let written = connection.suspend().encoded()
        let sealed = written.withUnsafeBytes {
            Sealer(key: key, receiver: receiver).seal($0.bytes, transfer: .random(), expires: .max)
        }
        var unsealer = Unsealer(key: key, receiver: receiver)
        let opened = try unsealer.open(sealed.span.bytes, now: 0)
        let snapshot = try opened.bytes.withUnsafeBytes { (bytes) throws(SnapshotError) in
            try Snapshot(decoding: bytes.bytes)
        }
        var session = Session(Connection(resuming: snapshot), over: wire)
        session.received = received
        session.events = events
        return session
    }
}
