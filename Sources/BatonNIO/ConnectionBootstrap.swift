internal import BatonCore
public import Handoff
internal import Libc
public import NIOCore
internal import NIOPosix
internal import TLSHandshake

/// Makes channels of connections, however they arrive: accepted, connected, or received from another process. One
/// initializer serves them all, so a program is written once for new connections and for those that have moved.
///
/// ```swift
/// let bootstrap = ConnectionBootstrap(group: group, registry: registry) { channel, arrival in
///     try channel.pipeline.syncOperations.addHandler(Session(try arrival.state() ?? SessionState()))
/// }
/// let listener = try await bootstrap.listen(host: "::", port: 443, .tls(context)).get()
/// ```
public struct ConnectionBootstrap: Sendable {
    /// Adds the application's handlers behind the `ConnectionHandler`. Called on the channel's event loop, before any
    /// byte of the connection is handed on.
    public typealias Initializer = @Sendable (any Channel, Arrival) throws -> Void

    /// The event loops of the connections.
    public let group: any EventLoopGroup
    /// Where the connections are listed; of the same group.
    public let registry: ConnectionRegistry?
    /// How their handlers behave.
    public var options = ConnectionOptions()
    /// What is asked of the sockets of new connections.
    public var socketOptions = SocketOptions()
    /// How many connections may wait to be accepted; the kernel cuts it at `net.core.somaxconn`.
    public var backlog: CInt = 4_096
    let initializer: Initializer

    /// A bootstrap for connections on the event loops of `group`.
    public init(
        group: any EventLoopGroup, registry: ConnectionRegistry? = nil, initializer: @escaping Initializer
    ) {
        self.group = group
        self.registry = registry
        self.initializer = initializer
    }

    // MARK: Connecting

    /// Connects to a host. The future succeeds when TCP is connected; `ConnectionEvent.established` tells of TLS.
    ///
    /// - Parameters:
    ///   - host: a name or an address.
    ///   - port: 1 to 65,535.
    ///   - security: how the connection begins.
    ///   - timeout: how long TCP may take to connect.
    ///   - source: the local address to connect from; `nil` lets the kernel choose.
    public func connect(
        host: String, port: Int, _ security: ClientSecurity, timeout: TimeAmount = .seconds(10),
        from source: String? = nil
    ) -> EventLoopFuture<any Channel> {
        var bootstrap = clientBootstrap(security).connectTimeout(timeout)
        if let source {
            do {
                bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: source, port: 0))
            } catch {
                return group.next().makeFailedFuture(error)
            }
        }
        // A resolver is asked on another thread, and for an address it has nothing to say.
        if let address = try? SocketAddress(ipAddress: host, port: port) { return bootstrap.connect(to: address) }
        return bootstrap.connect(host: host, port: port)
    }

    /// Connects to a Unix socket.
    public func connect(unixPath: String, _ security: ClientSecurity = .plain) -> EventLoopFuture<any Channel> {
        clientBootstrap(security).connect(unixDomainSocketPath: unixPath)
    }

    private func clientBootstrap(_ security: ClientSecurity) -> ClientBootstrap {
        ClientBootstrap(group: group)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try socketOptions.apply(to: channel)
                    try install(try security.makeHandler(options), in: channel, .connected)
                }
            }
    }

    // MARK: Attaching

    /// Makes a channel of a connection another owner has handed on. The parcel's first socket is the connection's; others
    /// are closed.
    ///
    /// - Parameters:
    ///   - parcel: the connection.
    ///   - eventLoop: one of the group's.
    ///   - arrival: `nil` for a parcel another process has sent.
    ///   - staysHere: whether the connection is not to be handed on again.
    /// - Returns: a future that fails if the parcel has no socket; the connection is closed then.
    public func attach(
        _ parcel: consuming Parcel, on eventLoop: any EventLoop, arrival: Arrival? = nil, staysHere: Bool = false
    ) -> EventLoopFuture<any Channel> {
        let arrival = arrival ?? .received(applicationState: parcel.applicationState)
        var descriptors = parcel.sockets.takeAll()[...]
        guard let descriptor = descriptors.popFirst() else {
            return eventLoop.makeFailedFuture(ConnectionError(.notASocket))
        }
        for other in descriptors { Libc.close(other) }
        let detached = DetachedConnection(parcel)
        return ClientBootstrap(group: eventLoop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let handler = ConnectionHandler(detached, options: options) else {
                        throw ConnectionError(.detached)
                    }
                    handler.staysHere = staysHere
                    // What came back has not moved.
                    if case .returned = arrival { handler.suspendedAt = nil }
                    try install(handler, in: channel, arrival)
                }
            }
            .withConnectedSocket(descriptor)
    }

    // MARK: Listening

    /// Makes a channel of a connection that was accepted elsewhere, as a listener of this bootstrap would.
    ///
    /// - Parameters:
    ///   - descriptor: this process's; the channel's from now on.
    ///   - security: how the connection begins.
    ///   - name: by which its connections are marked.
    ///   - eventLoop: one of the group's.
    /// - Returns: a future that succeeds when the channel is active. If it fails the connection is closed.
    public func accept(
        _ descriptor: CInt, _ security: ServerSecurity, name: String, on eventLoop: any EventLoop
    ) -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: eventLoop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try begin(channel, security, name) }
            }
            .withConnectedSocket(descriptor)
    }

    /// Makes a connection of a channel that a bootstrap of the program's own has accepted. To be called in its child channel
    /// initializer, before any other handler is added; the rest is added by this bootstrap's initializer.
    ///
    /// - Parameters:
    ///   - channel: of one of the group's event loops.
    ///   - security: how the connection begins.
    ///   - name: by which its connections are marked.
    /// - Throws: `notASocket` if it is none, or what the initializer throws; the channel is to be closed then.
    public func accept(_ channel: any Channel, _ security: ServerSecurity, name: String) throws {
        // A former owner's application may go on sending when its peer has ended; the handler decides.
        guard let options = channel.syncOptions else { throw ConnectionError(.notASocket) }
        try options.setOption(.allowRemoteHalfClosure, value: true)
        try begin(channel, security, name)
    }

    /// Makes a listener of a server channel that a bootstrap of the program's own has bound, so that it can be handed on.
    ///
    /// - Parameters:
    ///   - serverChannel: of the group's event loops.
    ///   - security: how a successor is to begin its connections.
    ///   - name: by which a successor knows it; at most 255 bytes.
    public func listener(of serverChannel: any Channel, _ security: ServerSecurity, name: String) -> Listener {
        Listener(serverChannel, name: name, security, group: group)
    }

    /// Listens at an address.
    ///
    /// - Parameters:
    ///   - host: a name or an address.
    ///   - port: 1 to 65,535, or 0 for one that the kernel chooses.
    ///   - security: how its connections begin.
    ///   - name: by which a successor knows the listener, and its connections are marked; at most 255 bytes. The address
    ///     unless given.
    public func listen(
        host: String, port: Int, _ security: ServerSecurity, name: String? = nil
    ) -> EventLoopFuture<Listener> {
        let name = name ?? "\(host):\(port)"
        return serverBootstrap(security, name).bind(host: host, port: port).map {
            Listener($0, name: name, security, group: group)
        }
    }

    /// Listens at a Unix socket. One that a process left behind when it ended is replaced; one at which somebody listens is not,
    /// and the future fails with the system's error, EADDRINUSE.
    /// Its directory is locked for a moment (flock(2)), so that of several that listen at once one does.
    ///
    /// - Parameters:
    ///   - unixPath: at most 107 bytes. The socket stays there when the listener closes, as it does when it is handed on.
    ///   - security: how its connections begin.
    ///   - name: as for TCP; the path unless given.
    public func listen(
        unixPath: String, _ security: ServerSecurity = .plain, name: String? = nil
    ) -> EventLoopFuture<Listener> {
        do {
            // Not by NIO, which removes the socket when its channel closes, also one that was handed on.
            let descriptor = try UnixPath.listen(unixPath, backlog: backlog)
            return listen(takingOver: descriptor, security, name: name ?? unixPath)
        } catch {
            return group.any().makeFailedFuture(error)
        }
    }

    /// Listens at what `description` says.
    public func listen(_ description: ListenerDescription) -> EventLoopFuture<Listener> {
        switch description.address {
        case .host(let host, let port):
            listen(host: host, port: port, description.security, name: description.name)
        case .unixPath(let path): listen(unixPath: path, description.security, name: description.name)
        }
    }

    /// Goes on listening at a socket that listens already: taken over from another process, or given by systemd.
    ///
    /// - Parameters:
    ///   - descriptor: this process's; the listener's from now on.
    ///   - security: how its connections begin.
    ///   - name: by which a successor knows the listener, and its connections are marked; at most 255 bytes.
    public func listen(
        takingOver descriptor: CInt, _ security: ServerSecurity, name: String
    ) -> EventLoopFuture<Listener> {
        let backlog = backlog
        return serverBootstrap(security, name).withBoundSocket(descriptor).flatMapThrowing { channel in
            // NIO has listened again by now, with a backlog of its own.
            try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
                guard Libc.listen($0, backlog) == 0 else { throw ConnectionError(.system, systemError: errno) }
            }
            return Listener(channel, name: name, security, group: group)
        }
    }

    private func serverBootstrap(_ security: ServerSecurity, _ name: String) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try begin(channel, security, name) }
            }
    }

    private func begin(_ channel: any Channel, _ security: ServerSecurity, _ name: String) throws {
        try socketOptions.apply(to: channel)
        let handler = security.makeHandler(options)
        handler.metadata.listener = name
        handler.metadata.acceptedAt = WallClock.milliseconds
        try install(handler, in: channel, .accepted)
    }

    private func install(_ handler: ConnectionHandler, in channel: any Channel, _ arrival: Arrival) throws {
        try channel.pipeline.syncOperations.addHandler(handler)
        registry?.add(handler, on: channel.eventLoop)
        try initializer(channel, arrival)
    }
}
