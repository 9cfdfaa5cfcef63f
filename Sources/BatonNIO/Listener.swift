public import Handoff
internal import Libc
public import NIOCore

/// A listening socket in a channel, which can be handed on like a connection: clients that connect meanwhile wait in its
/// queue, and none is refused.
public struct Listener: Sendable {
    /// Names the annotation that tells a listening socket from a connection.
    static let annotation = "baton.listening"

    /// Its channel.
    public let channel: any Channel
    /// By which a successor knows it.
    public let name: String

    /// How its connections begin.
    public let security: ServerSecurity

    /// Of the connections it accepts.
    private let group: any EventLoopGroup

    init(_ channel: any Channel, name: String, _ security: ServerSecurity, group: any EventLoopGroup) {
        self.channel = channel
        self.group = group
        self.name = name
        self.security = security
    }

    /// Where it listens.
    public var address: SocketAddress? { channel.localAddress }

    /// Closes the channel. Connections that it has accepted go on, which is not so when the channel alone is closed: those
    /// on their way from its event loop to their own would be cut off.
    ///
    /// - Returns: a future that is fulfilled when every connection it has accepted is in a channel that is active.
    public func close() -> EventLoopFuture<Void> {
        pause().flatMap { channel.close() }.flatMap { visitLoops() }
    }

    /// Accepts again, after `pause`.
    public func resume() -> EventLoopFuture<Void> { channel.setOption(.autoRead, value: true) }

    /// Accepts nothing more until `resume`. Who connects meanwhile waits in the socket's queue.
    ///
    /// - Returns: a future that is fulfilled when every connection it has accepted is in a channel that is active.
    public func pause() -> EventLoopFuture<Void> {
        channel.setOption(.autoRead, value: false).flatMap { visitLoops() }.flatMap { visitLoops() }
    }

    private func visitLoops() -> EventLoopFuture<Void> {
        let visits = group.makeIterator().map { $0.submit {} }
        return EventLoopFuture.andAllComplete(visits, on: channel.eventLoop)
    }

    /// Stops listening in this process. The socket listens on as long as the parcel, or whom it is handed to, holds it.
    ///
    /// - Returns: a future that fails with `ConnectionError` if the listener is closed.
    public func detach() -> EventLoopFuture<DetachedConnection> {
        let name = name
        let channel = channel
        return pause().flatMapThrowing { () throws -> DetachedConnection in
            let descriptor = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self
            ) { $0 }
            guard let descriptor else { throw ConnectionError(.closed) }
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            guard copy >= 0 else { throw ConnectionError(.system, systemError: errno) }
            channel.close(mode: .all, promise: nil)
            var parcel = Parcel(sockets: DescriptorSet(owning: copy))
            parcel.metadata.listener = name
            parcel.metadata.annotations[Self.annotation] = [1]
            return DetachedConnection(parcel)
        }
    }
}

extension Parcel {
    /// The name of the listener this parcel holds; `nil` if it holds a connection.
    public var listenerName: String? {
        metadata.annotations[Listener.annotation] == nil ? nil : metadata.listener
    }
}
