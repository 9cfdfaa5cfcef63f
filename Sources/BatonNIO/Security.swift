internal import Synchronization
public import TLSHandshake

/// How connections of a listener begin.
public enum ServerSecurity: Sendable {
    /// Without TLS. `ConnectionHandler.startTLS` may follow.
    case plain
    /// With a TLS handshake, this side being the server.
    case tls(ServerContext)
    /// As `tls`, with the context that holds when the connection begins.
    case current(CurrentServerContext)
    /// As `tls`, with the context that is chosen by the client's first message: `Handshake.init(choosing:)`.
    case choosing(ServerContextChoice)

    func makeHandler(_ options: ConnectionOptions) -> ConnectionHandler {
        switch self {
        case .plain: ConnectionHandler(plain: options)
        case .tls(let context): ConnectionHandler(Handshake(server: context), options: options)
        case .choosing(let choice): ConnectionHandler(Handshake(choosing: choice), options: options)
        case .current(let current): ConnectionHandler(Handshake(server: current.context), options: options)
        }
    }
}

/// A server's context that is replaced while it is served: certificates that have been renewed. Handshakes that have begun go on
/// with the one they began with, and established connections know nothing of it.
///
/// ```swift
/// let current = CurrentServerContext(try ServerContext(configuration))
/// let listener = try await bootstrap.listen(host: "::", port: 443, .current(current)).get()
/// // On SIGHUP:
/// current.replace(with: try ServerContext(configuration))
/// ```
public final class CurrentServerContext: Sendable {
    private let held: Mutex<ServerContext>

    /// Begins with `context`.
    public init(_ context: ServerContext) { held = Mutex(context) }

    /// The one with which a handshake begins now.
    public var context: ServerContext { held.withLock { $0 } }

    /// Begins handshakes with `context` from now on. May be called from any thread.
    public func replace(with context: ServerContext) { held.withLock { $0 = context } }
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
