internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import TLSHandshake

/// `baton serve`.
public enum FrontMain {
    /// Finds the front for what its predecessor says at last.
    private final class Heir: Sendable {
        let front = Mutex<Front?>(nil)
    }

    /// Serves until it is told to end or has been replaced.
    ///
    /// - Throws: `ConfigurationError`, `RuntimeError` and others, all before it has served; what cannot be done later is
    ///   logged.
    public static func run(_ options: ServeOptions) async throws {
        _ = BinaryPath.atStart
        ServeLog.bootstrap()
        let activated = try ActivatedSocket.takeAll()
        guard let path = options.takeover else {
            return try await serve(options, predecessor: nil, activated)
        }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let heir = Heir()
        let descriptor = fcntl(0, F_DUPFD_CLOEXEC, 3)
        let link = try await JSONLines<PredecessorMessage, SuccessorMessage>.open(descriptor, on: loop) { message in
            guard let front = heir.front.withLock({ $0 }) else { return }
            front.loop.execute {
                front.predecessors = message.totals
                front.predecessorCounts = message.counts ?? front.predecessorCounts
            }
        } ended: {
        }.get()
        do {
            try await serve(options, predecessor: (path, link, heir), activated)
        } catch {
            let line = JSONLink<SuccessorMessage>.line(.failed("\(error)"))
            if let line { try? await link.channel.writeAndFlush(line).get() }
            throw error
        }
    }

    private static func serve(
        _ options: ServeOptions, predecessor: (path: String, link: JSONLink<SuccessorMessage>, heir: Heir)?,
        _ activated: [ActivatedSocket]
    ) async throws {
        let (configuration, file) = try options.read()
        let account = try configuration.user.map { try Account(user: $0, group: configuration.group) }
        if let account, !account.isCurrent, geteuid() != 0 {
            throw RuntimeError(
                .configuration,
                "user: only root can become user \(account.name ?? "\(account.user)"); start as root, or leave user out"
            )
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        var inherited: (Inheritance, ControlSocket, [CInt])?
        if let path = predecessor?.path {
            inherited = try Inheritance.receive(from: path, control: configuration.control)
        }
        let control = try inherited?.1 ?? ControlSocket.open(configuration.control)
        let front: Front
        do {
            front = try Front(
                options, configuration, file: file, group: group, control: control,
                keys: keys(inherited?.0), predecessors: inherited?.0.past ?? WorkerReport())
        } catch {
            if predecessor == nil { control.remove() }
            throw error
        }
        do {
            front.lastWorkerNumber = inherited?.0.lastWorkerNumber ?? 0
            front.workersAsked = inherited?.0.workersAsked
            front.predecessorCounts = inherited?.0.counts ?? FrontCounts()
            try openListeners(front, inherited, activated)
            // Everything that needs a privilege is done, and no peer has been heard.
            if let account, !account.isCurrent { try give(to: account, control, front.log) }
        } catch {
            front.abandonStart()
            if predecessor == nil { control.remove() }
            throw error
        }
        let signals = Signals([SIGTERM, SIGINT, SIGHUP, SIGUSR2]) { number in
            front.loop.execute { front.received(number) }
        }
        do {
            try await front.start().get()
        } catch {
            front.abandonStart()
            if predecessor == nil { control.remove() }
            throw error
        }
        if let (_, link, heir) = predecessor {
            heir.front.withLock { $0 = front }
            link.send(.ready(workers: try await front.loop.submit { front.workers.map(\.socket) }.get()))
        }
        try await front.ended.futureResult.get()
        _ = signals
        if !front.isReplaced {
            control.remove()
            rmdir(ControlSocket.runtimeDirectory(control.path))
        }
    }

    private static func give(to account: Account, _ control: ControlSocket, _ log: Logger) throws(RuntimeError) {
        try control.handOver(to: account)
        try account.become()
        guard access(ControlSocket.runtimeDirectory(control.path), W_OK | X_OK) == 0 else {
            throw RuntimeError(
                .configuration,
                "user \(account.user) may not enter the directory of \(control.path); let it, or move control elsewhere"
            )
        }
        log.notice("running without privileges", metadata: ["user": "\(account.user)", "group": "\(account.group)"])
    }

    private static func keys(_ inheritance: Inheritance?) throws -> TicketKeysBox {
        guard let inheritance else { return TicketKeysBox() }
        return TicketKeysBox(try TicketKeys(copying: inheritance.ticketKeys.span.bytes))
    }

    /// Sockets that the running server had for the same address, or that the service manager has opened, are taken over;
    /// others are opened, or closed.
    private static func openListeners(
        _ front: Front, _ inherited: (Inheritance, ControlSocket, [CInt])?, _ activated: [ActivatedSocket]
    ) throws {
        var received: [String: (address: String, descriptor: CInt)] = [:]
        if let (inheritance, _, descriptors) = inherited {
            for (socket, descriptor) in zip(inheritance.listeners, descriptors) {
                received[socket.name] = (socket.address, descriptor)
            }
        }
        var activated = activated
        /// - Parameter key: the configuration's, if it is no listener's.
        func open(_ name: String, _ address: Address, key: String? = nil) throws -> ListeningSocket {
            if let old = received[name], old.address == "\(address)" {
                received[name] = nil
                return ListeningSocket(name: name, address: address, descriptor: old.descriptor)
            }
            let index =
                activated.firstIndex { $0.name == key ?? name } ?? activated.firstIndex { $0.listens(at: address) }
            if let index {
                return ListeningSocket(name: name, address: address, descriptor: activated.remove(at: index).descriptor)
            }
            return try .open(name, address, key: key)
        }
        for (name, listener) in front.configuration.listeners.sorted(by: { $0.key < $1.key }) {
            front.listeners[name] = Front.OpenListener(socket: try open(name, listener.address))
        }
        if let address = front.configuration.admin {
            front.adminSocket = try open(Front.adminName, address, key: "admin")
        }
        if let stray = activated.first {
            throw RuntimeError(
                .configuration,
                "the service manager's socket '\(stray.name)' at \(stray.address.map { "\($0)" } ?? "an unknown address") "
                    + "belongs to no listener; name it after one by FileDescriptorName=")
        }
        for (_, descriptor) in received.values { close(descriptor) }
    }
}
