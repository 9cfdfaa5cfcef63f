import TLSHandshake
import TLSRecords
import Testing

/// Both ends of a connection in one process, joined by memory.
struct ConnectedPair: ~Copyable {
    var client: Connection
    var server: Connection

    /// Makes the handshake, `pieces` bytes at a time.
    static func make(
        _ server: ServerContext, _ client: ClientContext, name: String = "localhost",
        resuming session: ClientSession? = nil, pieces: Int = .max
    ) throws -> ConnectedPair {
        var ours = Handshake(server: server)
        var theirs = try Handshake(client: client, serverName: name, resuming: session)
        try run(&theirs, &ours, pieces: pieces)
        return ConnectedPair(client: try theirs.connection(), server: try ours.connection())
    }

    /// Runs a handshake to its end, or to the first error of either side.
    static func run(_ client: inout Handshake, _ server: inout Handshake, pieces: Int = .max) throws {
        for _ in 0..<200_000 {
            let clientIsDone = try client.advance() == .established
            let serverIsDone = try server.advance() == .established
            if clientIsDone && serverIsDone { return }
            move(&client, to: &server, at: pieces)
            move(&server, to: &client, at: pieces)
        }
        Issue.record("the handshake did not end")
    }

    static func move(_ from: inout Handshake, to: inout Handshake, at most: Int = .max) {
        let bytes = from.withOutgoing { span in span.withUnsafeBytes { Array($0.prefix(most)) } }
        from.didWrite(bytes.count)
        to.receive(bytes.span.bytes)
    }

    /// Sends `text` from each side to the other and checks that it arrives.
    mutating func exchange(_ text: String) throws {
        try ConnectedPair.pass(text + " from the client", from: &client, to: &server)
        try ConnectedPair.pass(text + " from the server", from: &server, to: &client)
    }

    static func pass(_ text: String, from: inout Connection, to: inout Connection) throws {
        try from.send(Array(text.utf8).span.bytes)
        deliver(from: &from, to: &to)
        var received: [UInt8] = []
        while received.count < text.utf8.count {
            guard let event = try to.nextEvent() else {
                Issue.record("only \(received.count) of \(text.utf8.count) bytes arrived")
                return
            }
            guard case .applicationData(let count) = event else { continue }
            to.withUnread { span in span.withUnsafeBytes { received += Array($0) } }
            to.consumeUnread(count)
        }
        let arrived = String(decoding: received, as: UTF8.self)
        #expect(arrived == text)
    }

    static func deliver(from: inout Connection, to: inout Connection) {
        let bytes = from.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
        from.didWrite(bytes.count)
        to.receive(bytes.span.bytes)
    }

    /// Suspends and resumes both ends.
    consuming func moved() -> ConnectedPair {
        let client = Connection(resuming: self.client.suspend())
        let server = Connection(resuming: self.server.suspend())
        return ConnectedPair(client: client, server: server)
    }
}
