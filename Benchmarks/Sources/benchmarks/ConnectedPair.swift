import TLSRecords

/// Both ends of a TLS 1.3 connection.
struct ConnectedPair: ~Copyable {
    var client: Connection
    var server: Connection

    init(client: consuming Connection, server: consuming Connection) throws {
        self.client = client
        self.server = server
        try settle()
    }

    init(_ suite: CipherSuite, _ credentials: Credentials) throws {
        self = try ConnectionMaker(suite, credentials).pair()
    }

    /// Carries what waits, the server's tickets for instance, so that each direction stands still.
    private mutating func settle() throws {
        server.withOutgoing { client.receive($0) }
        server.didWrite(server.outgoingCount)
        client.withOutgoing { server.receive($0) }
        client.didWrite(client.outgoingCount)
        while try client.nextEvent() != nil {}
        while try server.nextEvent() != nil {}
    }

    /// One small record each way.
    mutating func exchange() throws {
        let byte: [UInt8] = [1]
        try client.send(byte.span.bytes)
        client.withOutgoing { server.receive($0) }
        client.didWrite(client.outgoingCount)
        _ = try server.nextEvent()
        server.consumeUnread(server.unreadCount)
        try server.send(byte.span.bytes)
        server.withOutgoing { client.receive($0) }
        server.didWrite(server.outgoingCount)
        _ = try client.nextEvent()
        client.consumeUnread(client.unreadCount)
    }
}

extension ConnectedPair {
    /// The server's end alone.
    consuming func intoServer() -> Connection { server }
}
