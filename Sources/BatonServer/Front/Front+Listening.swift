internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import TLSHandshake

extension Front {
    // MARK: Sockets

    /// Does all of listening that can fail. Nothing is accepted before `beginListening`.
    func prepareListening() throws(RuntimeError) {
        try watch(sockets)
        try commands.add(control.descriptor) { [self] descriptor, _ in
            loop.execute { self.commandConnections.take(descriptor) }
        }
    }

    /// Gives sockets to whoever accepts at them, under the names that they have now. Nothing is accepted yet at one that is
    /// not among the server's, or does not listen: for it this is to be done again, and cannot fail then.
    func watch(_ sockets: [ListeningSocket]) throws(RuntimeError) {
        for socket in sockets {
            // It may have changed between the admin address and a listener: only one accepts there.
            (socket.name == Self.adminName ? acceptor : commands).remove(socket.descriptor)
            guard socket.isListening, self.sockets.contains(socket) else {
                try (socket.name == Self.adminName ? commands : acceptor).hold(socket.descriptor)
                continue
            }
            if socket.name == Self.adminName {
                try commands.add(socket.descriptor) { [self] descriptor, _ in
                    loop.execute { self.admin.take(descriptor) }
                }
            } else {
                let name = socket.name
                try acceptor.add(socket.descriptor) { [self] in accepted($0, from: $1, at: name) }
            }
        }
    }

    func unwatch(_ socket: ListeningSocket) {
        acceptor.remove(socket.descriptor)
        commands.remove(socket.descriptor)
    }

    /// Accepts. Who has connected since the sockets listen has waited for this.
    func beginListening() {
        if let listening {
            self.listening = nil
            for note in listening.notes { log.warning("\(note)") }
            let shortfalls = Capacity.shortfalls(
                of: configuration, descriptors: DescriptorLimit.current, processors: System.coreCount,
                longestQueue: Capacity.longestQueue)
            for line in shortfalls { log.warning("\(line)") }
            finish(listening)
            for socket in sockets where socket.name != Self.adminName { tell(socket) }
        }
        // A successor that has failed since may have stopped some of them.
        for socket in sockets where !socket.isListening { _ = socket.listen(backlog: configuration.backlog) }
        for socket in adminSockets {
            log.notice("the admin page is served", metadata: ["admin": "\(socket.place)"])
        }
        if !adminSockets.isEmpty { admin.open() }
        acceptor.open()
        commands.open()
    }

    /// The sockets of a configuration that was read again take the place of those there are.
    func replaceSockets(_ listening: PreparedListening) {
        let before = sockets
        sockets = listening.sockets
        for note in listening.notes { log.warning("\(note)") }
        finish(listening)
        for socket in sockets where !before.contains(where: { $0.descriptor == socket.descriptor }) {
            if socket.name != Self.adminName { tell(socket) }
        }
        if adminSockets != before.filter({ $0.name == Self.adminName }) {
            admin.close()
            for socket in adminSockets {
                log.notice("the admin page is served", metadata: ["admin": "\(socket.place)"])
            }
        }
        if !adminSockets.isEmpty { admin.open() }
        acceptor.open()
    }

    /// Listens at the new sockets, and then no more at those that have no use. Who waits there and would reach a new one now
    /// is served.
    private func finish(_ listening: PreparedListening) {
        for (socket, code) in listening.begin(backlog: configuration.backlog) {
            log.error("cannot listen", metadata: ["listener": "\(socket.name)", "reason": "\(code.text)"])
        }
        do throws(RuntimeError) {
            // All are watched or held already; some have other names now.
            try watch(sockets.filter(\.isListening))
        } catch {
            log.error("cannot listen", metadata: ["reason": "\(error)"])
        }
        if !listening.surplus.isEmpty { depositAndSettle() }
        for socket in listening.surplus {
            commands.remove(socket.descriptor)
            acceptor.remove(socket.descriptor) { [self] descriptor, peer in
                let place = ListeningPlace(of: descriptor)
                let heir = sockets.first { other in
                    other.name != Self.adminName && place.map { other.place.overlaps($0) } ?? false
                }
                guard socket.name != Self.adminName, let heir else {
                    Glibc.close(descriptor)
                    return
                }
                accepted(descriptor, from: peer, at: heir.name)
            }
            socket.stop()
            closeForGood(socket)
        }
        listening.endSharing()
    }

    private func tell(_ socket: ListeningSocket) {
        log.notice("listening", metadata: ["listener": "\(socket.name)", "address": "\(socket.place)"])
    }

    /// Accepts nothing more; the sockets stay open here, in case the successor that accepts at them fails. Everything that
    /// was accepted is counted when this returns.
    @discardableResult
    func pauseListening() -> EventLoopFuture<Void> {
        acceptor.close()
        commands.close()
        admin.close()
        policy.pauseRotation()
        return loop.makeSucceededVoidFuture()
    }

    func stopListening() {
        pauseListening()
        for socket in sockets { closeForGood(socket) }
        sockets = []
    }

    /// Closes a socket. The file of one of ours goes with the last process that listens there.
    func closeForGood(_ socket: ListeningSocket) {
        unwatch(socket)
        Glibc.close(socket.descriptor)
        guard case .unix(let path) = socket.place, !socket.isActivated else { return }
        UnixSocket.removeDead(path)
    }

    static func tell(_ event: Acceptor.Event, _ log: Logger) {
        switch event {
        case .waits(let code):
            log.error(
                "connections wait, because descriptors or memory are missing",
                metadata: [
                    "reason": "\(String(cString: strerror(code)))", "descriptors": "\(DescriptorLimit.current)",
                ])
        case .acceptsAgain(let after):
            log.notice("connections are accepted again", metadata: ["after_ms": "\(after / 1_000_000)"])
        case .broken(let descriptor, let code):
            log.error(
                "a listening socket is broken; restart the server",
                metadata: [
                    "reason": "\(String(cString: strerror(code)))",
                    "address": "\(ListeningPlace(of: descriptor).map { "\($0)" } ?? "")",
                ])
        }
    }

    // MARK: Connections

    /// A connection has been accepted. Its limits are decided before anything is made for it. Called on any thread.
    private func accepted(_ descriptor: CInt, from peer: sockaddr_storage, at name: String) {
        let policy = policy.value
        guard let listener = policy.listeners[name] else {
            Glibc.close(descriptor)
            return
        }
        let source = Endpoint(peer)
        // A load balancer's own address is not the client's.
        let origin = listener.proxyProtocol == .off ? source?.address : nil
        func refuse(_ reason: RefusalReason, _ why: String) {
            Glibc.close(descriptor)
            tally.withLock { $0.refused(reason) }
            refusalLog.say(
                reason, why, log, ["listener": "\(name)", "peer": "\(source.map { "\($0)" } ?? "")"])
        }
        if let address = source?.address, !listener.mayBeLoadBalancer(address) {
            return refuse(.network, "it is not in proxy-protocol-from")
        }
        guard connections.load(ordering: .relaxed) < policy.limits.handshakes else {
            return refuse(.handshakes, "limits.handshakes is reached")
        }
        do throws(ConnectionLimits.Refusal) {
            try admit(from: origin)
        } catch .total {
            return refuse(.connections, "limits.connections is reached")
        } catch {
            return refuse(.connectionsPerSource, "limits.connections-per-source is reached")
        }
        var bootstrap = ConnectionBootstrap(group: group) { [self] channel, _ in
            try channel.syncOptions?.setOption(.autoRead, value: false)
            try channel.pipeline.syncOperations.addHandler(
                FrontHandler(self, listener: name, policy, source: source, admittedFrom: origin))
        }
        bootstrap.options.handshakeTimeout = policy.limits.handshakeTime.timeAmount
        bootstrap.options.closeTimeout = .seconds(5)
        bootstrap.options.allowsHalfClosure = true
        bootstrap.socketOptions = listener.liveness.socketOptions
        // The handler begins TLS itself, after whatever is spoken before it, with the context that holds then.
        bootstrap.accept(descriptor, .plain, name: name, on: group.next()).whenFailure { [self] error in
            dismissed(from: origin)
            log.warning(
                "a connection cannot be served",
                metadata: [
                    "listener": "\(name)", "peer": "\(source.map { "\($0)" } ?? "")", "reason": "\(error)",
                ])
        }
    }

    /// Counts a connection, unless there are as many as may be. Workers tell their counts a moment after they change; the
    /// limits are as exact as that.
    private func admit(from source: IPAddress?) throws(ConnectionLimits.Refusal) {
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
