internal import BatonNIO
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import TLSHandshake

extension Front {
    /// Accepts at a listener. The channel has a descriptor of its own; the one kept here is for a successor.
    @discardableResult
    func listen(_ name: String) -> EventLoopFuture<Void> {
        guard let open = listeners[name], let listener = configuration.listeners[name] else {
            return loop.makeSucceededVoidFuture()
        }
        let copy = fcntl(open.socket.descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else {
            return loop.makeFailedFuture(RuntimeError.system("cannot listen at \(open.socket.address)"))
        }
        var bootstrap = ConnectionBootstrap(group: group) { [self] channel, _ in
            try channel.syncOptions?.setOption(.autoRead, value: false)
            let policy = policy.withLock { $0 }
            try channel.pipeline.syncOperations.addHandler(FrontHandler(self, listener: name, policy))
        }
        bootstrap.options.handshakeTimeout = configuration.limits.handshakeTime.timeAmount
        bootstrap.options.closeTimeout = .seconds(5)
        bootstrap.options.allowsHalfClosure = true
        bootstrap.socketOptions.keepAliveIdle = listener.keepaliveIdle.map { CInt($0.components.seconds) }
        bootstrap.socketOptions.keepAliveInterval = CInt(listener.keepaliveInterval.components.seconds)
        bootstrap.socketOptions.keepAliveCount = CInt(listener.keepaliveCount)
        bootstrap.socketOptions.userTimeout = listener.userTimeout.map { CInt($0.components.seconds * 1000) }
        // The handler begins TLS itself, after whatever is spoken before it, with the context that holds then.
        return bootstrap.listen(takingOver: copy, .plain, name: name).hop(to: loop).map { [self] accepting in
            listeners[name]?.accepting = accepting
            log.notice("listening", metadata: ["listener": "\(name)", "address": "\(open.socket.actualAddress)"])
        }
    }

    func stopListening(_ name: String) {
        guard let listener = listeners.removeValue(forKey: name) else { return }
        _ = listener.accepting?.close()
        close(listener.socket.descriptor)
    }

    /// Accepts nothing more; the sockets stay open here, in case the successor that accepts at them fails.
    ///
    /// - Returns: a future that is fulfilled when nothing is accepted any more.
    @discardableResult
    func pauseListening() -> EventLoopFuture<Void> {
        var closed: [EventLoopFuture<Void>] = []
        for name in listeners.keys {
            if let accepting = listeners[name]?.accepting { closed.append(accepting.close()) }
            listeners[name]?.accepting = nil
        }
        if let controlChannel { closed.append(controlChannel.close()) }
        controlChannel = nil
        pauseAdmin()
        rotation?.cancel()
        return EventLoopFuture.andAllComplete(closed, on: loop)
    }

    func stopListening() {
        pauseListening()
        for name in Array(listeners.keys) { stopListening(name) }
        stopAdmin()
    }

    /// Counts a connection, unless there are as many as may be. Workers tell their counts a moment after they change; the
    /// limits are as exact as that.
    func admit(from source: IPAddress?) throws(ConnectionLimits.Refusal) {
        try admission.withLock { admission throws(ConnectionLimits.Refusal) in try admission.admit(from: source) }
        connections.wrappingAdd(1, ordering: .relaxed)
    }

    /// The connection has closed here.
    func dismissed(from source: IPAddress?) {
        admission.withLock { $0.release(from: source) }
        dismissed()
    }

    /// So many connections, which `admission` does not count here any more, have ended or found their owner.
    func dismissed(_ count: Int = 1) {
        let rest = connections.wrappingSubtract(count, ordering: .relaxed).newValue
        if rest == 0 { loop.execute { self.endIfDone() } }
    }
}
