public import NIOCore

extension Channel {
    /// Takes the connection out of this channel; see `ConnectionHandler.detach`. May be called from any thread.
    ///
    /// - Parameter applicationState: put into the parcel; `nil` asks the handler's own provider.
    /// - Returns: a future that fails with `ConnectionError`, the connection going on where it was.
    public func detachConnection(applicationState: [UInt8]? = nil) -> EventLoopFuture<DetachedConnection> {
        eventLoop.submit {
            let handler = try self.pipeline.syncOperations.connectionHandler()
            return DetachedConnection(try handler.detach(applicationState: applicationState))
        }
    }
}

extension ChannelPipeline.SynchronousOperations {
    /// The handler of this channel's connection.
    ///
    /// - Throws: `ConnectionError` if there is none.
    public func connectionHandler() throws -> ConnectionHandler {
        do {
            return try handler(type: ConnectionHandler.self)
        } catch {
            throw ConnectionError(.noConnection)
        }
    }
}
