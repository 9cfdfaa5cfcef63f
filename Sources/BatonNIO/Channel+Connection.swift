public import NIOCore

extension Channel {
    /// Takes the connection out of this channel; see `ConnectionHandler.detach`. May be called from any thread.
    ///
    /// - Parameters:
    ///   - applicationState: put into the parcel; `nil` asks the handler's own provider.
    ///   - patience: how long to wait for a connection that is held (`ConnectionHandler.hold`).
    /// - Returns: a future that fails with `ConnectionError`, the connection going on where it was.
    public func detachConnection(
        applicationState: [UInt8]? = nil, patience: TimeAmount = .zero
    ) -> EventLoopFuture<DetachedConnection> {
        detachConnection(applicationState, until: .now() + patience)
    }

    private func detachConnection(
        _ applicationState: [UInt8]?, until limit: NIODeadline
    ) -> EventLoopFuture<DetachedConnection> {
        eventLoop.flatSubmit {
            do {
                let handler = try self.pipeline.syncOperations.connectionHandler()
                let left = limit - .now()
                guard handler.isBusy, left > .zero else {
                    let parcel = try handler.detach(applicationState: applicationState)
                    return self.eventLoop.makeSucceededFuture(DetachedConnection(parcel))
                }
                handler.askForRelease()
                return handler.whenIdle(within: left, on: self.eventLoop).flatMap {
                    self.detachConnection(applicationState, until: limit)
                }
            } catch {
                return self.eventLoop.makeFailedFuture(error)
            }
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
