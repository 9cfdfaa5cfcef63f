public import TLSHandshake

/// How connections of a listener begin.
public enum ServerSecurity: Sendable {
    /// Without TLS. `ConnectionHandler.startTLS` may follow.
    case plain
    /// With a TLS handshake, this side being the server.
    case tls(ServerContext)

    func makeHandler(_ options: ConnectionOptions) -> ConnectionHandler {
        switch self {
        case .plain: ConnectionHandler(plain: options)
        case .tls(let context): ConnectionHandler(Handshake(server: context), options: options)
        }
    }
}

/// How a connection made by this process begins.
public enum ClientSecurity: Sendable {
    /// Without TLS. `ConnectionHandler.startTLS` may follow.
    case plain
    /// With a TLS handshake, this side being the client; see `Handshake.init(client:serverName:resuming:)`.
    case tls(ClientContext, serverName: String, resuming: ClientSession? = nil)

    func makeHandler(_ options: ConnectionOptions) throws -> ConnectionHandler {
        switch self {
        case .plain: ConnectionHandler(plain: options)
        case .tls(let context, let name, let session):
            ConnectionHandler(
                try Handshake(client: context, serverName: name, resuming: session), options: options)
        }
    }
}
