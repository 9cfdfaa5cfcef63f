internal import Libc
internal import Logging

/// The server's listening sockets, and who accepts at them. Used on the front's loop only; connections are given away on
/// other threads.
final class Listening: @unchecked Sendable {
    /// Who takes the descriptors of connections. Called on any thread.
    struct Receivers: Sendable {
        var connection: @Sendable (CInt, sockaddr_storage, _ listener: String) -> Void
        var command: @Sendable (CInt) -> Void
        var admin: @Sendable (CInt) -> Void

        /// Nobody.
        static let none = Receivers(
            connection: { descriptor, _, _ in Libc.close(descriptor) }, command: { Libc.close($0) },
            admin: { Libc.close($0) })
    }

    private(set) var sockets: [ListeningSocket]
    /// What the sockets were prepared by; `nil` once that is done.
    private var prepared: PreparedListening?
    private var receivers = Receivers.none
    private let control: CInt
    /// Accepts at the listeners' sockets.
    private let acceptor: Acceptor
    /// Accepts commands and what is asked at the admin address, with the descriptors that the other one leaves.
    private let commands: Acceptor
    private let logger: SharedLogger

    /// - Parameter control: the control socket, which remains the caller's.
    init(_ prepared: PreparedListening, control: CInt, _ logger: SharedLogger) throws(RuntimeError) {
        sockets = prepared.sockets
        self.prepared = prepared
        self.control = control
        self.logger = logger
        acceptor = try Acceptor("baton-accept", reserve: { DescriptorLimit.reserve }) { Self.tell($0, logger.current) }
        commands = try Acceptor("baton-commands") { Self.tell($0, logger.current) }
    }

    private var log: Logger { logger.current }

    var adminSockets: [ListeningSocket] { sockets.filter(\.isAdmin) }

    /// The TCP ports of the listeners.
    var ports: [UInt16] { Array(Set(sockets.filter { !$0.isAdmin }.compactMap(\.place.port))).sorted() }

    /// Whether connections are accepted at the listeners.
    var isAccepting: Bool { acceptor.isOpen }

    /// Whether connections wait for want of descriptors or memory.
    var isShort: Bool { acceptor.isShort }

    // MARK: Beginning

    /// Does all of listening that can fail. Nothing is accepted before `open`.
    func prepare(for receivers: Receivers) throws(RuntimeError) {
        self.receivers = receivers
        try watch(sockets)
        try commands.add(control) { descriptor, _ in receivers.command(descriptor) }
    }

    /// Accepts. Who has connected since the sockets listen has waited for this.
    ///
    /// - Parameter settled: called before sockets are closed that the server has no use for.
    func open(backlog: Int, settled: () -> Void) {
        if let prepared {
            self.prepared = nil
            for note in prepared.notes { log.warning("\(note)") }
            finish(prepared, backlog: backlog, settled)
            for socket in sockets where !socket.isAdmin { tell(socket) }
        }
        // A successor that has failed since may have stopped some of them.
        for socket in sockets where !socket.isListening { _ = socket.listen(backlog: backlog) }
        for socket in adminSockets { tell(socket) }
        acceptor.open()
        commands.open()
    }

    // MARK: Changing

    /// Accepts so many connections in a second at the most at the listeners; `nil`: all that come.
    func limitRate(_ perSecond: Int?) { acceptor.setRate(perSecond) }

    /// Does all that can fail of having the sockets of a configuration that was read again. If it throws, everything is as
    /// it was.
    func prepare(_ next: PreparedListening) throws(RuntimeError) {
        do {
            try watch(next.opened)
        } catch {
            for socket in next.opened { unwatch(socket) }
            next.abandon()
            throw error
        }
    }

    /// The sockets of a configuration that was read again, for which this is prepared, take the place of those there are.
    ///
    /// - Parameters:
    ///   - settled: called before sockets are closed that the server has no use for.
    ///   - adminHasMoved: called if the admin address is another now, and before anything is accepted there.
    func replace(with next: PreparedListening, backlog: Int, settled: () -> Void, adminHasMoved: () -> Void) {
        let before = sockets
        sockets = next.sockets
        for note in next.notes { log.warning("\(note)") }
        finish(next, backlog: backlog, settled)
        for socket in sockets where !before.contains(where: { $0.descriptor == socket.descriptor }) {
            if !socket.isAdmin { tell(socket) }
        }
        if adminSockets != before.filter(\.isAdmin) {
            adminHasMoved()
            for socket in adminSockets { tell(socket) }
        }
        acceptor.open()
    }

    /// Listens at the new sockets, and then no more at those that have no use. Who waits there and would reach a new one now
    /// is served.
    private func finish(_ prepared: PreparedListening, backlog: Int, _ settled: () -> Void) {
        for (socket, code) in prepared.begin(backlog: backlog) {
            log.error("cannot listen", metadata: ["listener": "\(socket.name)", "reason": "\(code.text)"])
        }
        do throws(RuntimeError) {
            // All are watched or held already; some have other names now.
            try watch(sockets.filter(\.isListening))
        } catch {
            log.error("cannot listen", metadata: ["reason": "\(error)"])
        }
        if !prepared.surplus.isEmpty { settled() }
        for socket in prepared.surplus {
            commands.remove(socket.descriptor)
            acceptor.remove(socket.descriptor) { [sockets, receivers] descriptor, peer in
                let place = ListeningPlace(of: descriptor)
                let heir = sockets.first { other in
                    !other.isAdmin && place.map { other.place.overlaps($0) } ?? false
                }
                guard !socket.isAdmin, let heir else {
                    Libc.close(descriptor)
                    return
                }
                receivers.connection(descriptor, peer, heir.name)
            }
            socket.stop()
            close(socket)
        }
        prepared.endSharing()
    }

    /// Gives sockets to whoever accepts at them, under the names that they have now. Nothing is accepted yet at one that is
    /// not among the server's, or does not listen: for it this is to be done again, and cannot fail then.
    private func watch(_ sockets: [ListeningSocket]) throws(RuntimeError) {
        for socket in sockets {
            // It may have changed between the admin address and a listener: only one accepts there.
            (socket.isAdmin ? acceptor : commands).remove(socket.descriptor)
            let own = socket.isAdmin ? commands : acceptor
            guard socket.isListening, self.sockets.contains(socket) else {
                try own.hold(socket.descriptor)
                continue
            }
            try own.add(socket.descriptor) { [receivers] descriptor, peer in
                if socket.isAdmin {
                    receivers.admin(descriptor)
                } else {
                    receivers.connection(descriptor, peer, socket.name)
                }
            }
        }
    }

    private func unwatch(_ socket: ListeningSocket) {
        acceptor.remove(socket.descriptor)
        commands.remove(socket.descriptor)
    }

    // MARK: Ending

    /// Accepts no connections at the listeners. Commands and the admin address are answered still. Everything that was
    /// accepted is counted when this returns.
    func pauseConnections() { acceptor.close() }

    /// Accepts nothing more; the sockets stay open here, in case the successor that accepts at them fails.
    func pause() {
        acceptor.close()
        commands.close()
    }

    /// Closes the listeners' sockets. The admin address and the control socket are served on.
    ///
    /// - Parameter settled: called before they are closed, when they are not among `sockets` any more.
    func closeListeners(settled: () -> Void) {
        acceptor.close()
        let closed = sockets.filter { !$0.isAdmin }
        sockets.removeAll { !$0.isAdmin }
        settled()
        for socket in closed { close(socket) }
    }

    /// Closes all sockets.
    func stop() {
        pause()
        for socket in sockets { close(socket) }
        sockets = []
    }

    /// Closes a socket. The file of one of ours goes with the last process that listens there.
    private func close(_ socket: ListeningSocket) {
        unwatch(socket)
        Libc.close(socket.descriptor)
        guard case .unix(let path) = socket.place, !socket.isActivated else { return }
        UnixSocket.removeDead(path)
    }

    // MARK: Telling

    private func tell(_ socket: ListeningSocket) {
        if socket.isAdmin {
            log.notice("the admin page is served", metadata: ["admin": "\(socket.place)"])
        } else {
            log.notice("listening", metadata: ["listener": "\(socket.name)", "address": "\(socket.place)"])
        }
    }

    private static func tell(_ event: Acceptor.Event, _ log: Logger) {
        switch event {
        case .waits(let code):
            log.error(
                "connections wait, because descriptors or memory are missing",
                metadata: [
                    "reason": "\(String(cString: strerror(code)))", "descriptors": "\(DescriptorLimit.current)",
                ])
        case .waitsForRate:
            log.warning("connections wait", metadata: ["reason": "limits.connection-rate is reached"])
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
}
