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
        private let state = Mutex<(front: Front?, isAlone: Bool)>((nil, false))
        /// Fulfilled when the predecessor accepts no more.
        let turn: EventLoopPromise<Void>

        init(_ loop: any EventLoop) { turn = loop.makePromise() }

        func serves(_ front: Front) {
            let isAlone = state.withLock { state in
                state.front = front
                return state.isAlone
            }
            if isAlone { front.loop.execute { front.predecessorEnded() } }
        }

        /// - Parameter totals: what the predecessor has counted; nil if it ended without a word.
        func predecessorEnded(_ totals: WorkerReport?, _ counts: FrontCounts? = nil) {
            let front = state.withLock { state in
                state.isAlone = true
                return state.front
            }
            turn.succeed()
            front?.loop.execute {
                if let totals { front?.predecessors = totals }
                if let counts { front?.predecessorCounts = counts }
                front?.predecessorEnded()
            }
        }
    }

    /// Serves until it is told to end or has been replaced.
    ///
    /// - Throws: `ConfigurationError`, `RuntimeError` and others, all before it has served; what cannot be done later is
    ///   logged.
    public static func run(_ options: ServeOptions) async throws {
        _ = BinaryPath.atStart
        ServeLog.bootstrap()
        let activated = try ActivatedSocket.takeAll()
        let keeper = KeeperLink.takeLeft()
        guard let path = options.takeover else {
            return try await serve(options, predecessor: nil, activated, keeper: keeper)
        }
        if keeper == nil, NetworkMain.hasPrivileges, let migration = try? options.read().configuration.migration,
            migration.isConfigured
        {
            // The server before this one moves no connections. Nothing has been read from its link yet.
            try ProgramRestart(keeper: KeeperLink.startKeeper(migration)).run(as: nil)
        }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let heir = Heir(loop)
        let descriptor = fcntl(0, F_DUPFD_CLOEXEC, 3)
        let link = try await JSONLines<PredecessorMessage, SuccessorMessage>.open(descriptor, on: loop) { message in
            switch message {
            case .accept: heir.turn.succeed()
            case .ended(let totals, let counts): heir.predecessorEnded(totals, counts)
            }
        } ended: {
            heir.predecessorEnded(nil)
        }.get()
        do {
            try await serve(options, predecessor: (path, link, heir), activated, keeper: keeper)
        } catch {
            let line = JSONLink<SuccessorMessage>.line(.failed("\(error)"))
            if let line { try? await link.channel.writeAndFlush(line).get() }
            throw error
        }
    }

    private static func serve(
        _ options: ServeOptions, predecessor: (path: String, link: JSONLink<SuccessorMessage>, heir: Heir)?,
        _ activated: [ActivatedSocket], keeper: CInt?
    ) async throws {
        let (configuration, file) = try options.read()
        let account = try configuration.user.map { try Account(user: $0, group: configuration.group) }
        let changesUser = account.map { !$0.isCurrent } ?? false
        let isPrivileged = keeper == nil && configuration.migration.isConfigured && NetworkMain.hasPrivileges
        if predecessor == nil, changesUser || isPrivileged {
            try restart(as: changesUser ? account : nil, configuration, activated)
        }
        guard !changesUser else {
            throw RuntimeError(.configuration, "user: an upgrade cannot change the user; restart the server")
        }
        DescriptorLimit.raise()
        var inherited: Inheritance.Received?
        if let path = predecessor?.path {
            inherited = try Inheritance.receive(from: path, control: configuration.control)
        }
        let keeperLink = try keeperLink(keeper, inherited, configuration.migration)
        let control = try inherited?.control ?? ControlSocket.open(configuration.control)
        let inheritance = inherited?.inheritance
        let front: Front
        do {
            let keys = try keys(inheritance)
            let sockets = try openSockets(configuration, inherited, activated)
            let policy = try FrontPolicy(configuration, keys: keys)
            front = Front(
                options, configuration, file: file, policy: policy,
                group: MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount), control: control, keys: keys,
                sockets: sockets, predecessors: inheritance?.past ?? WorkerReport())
        } catch {
            if predecessor == nil { control.remove() }
            throw error
        }
        front.lastWorkerNumber = inheritance?.lastWorkerNumber ?? 0
        front.workersAsked = inheritance?.workersAsked
        front.predecessorCounts = inheritance?.counts ?? FrontCounts()
        front.keeper = keeperLink
        front.hasPredecessor = predecessor != nil
        let signals = Signals([SIGTERM, SIGINT, SIGHUP, SIGUSR2]) { number in
            front.loop.execute { front.received(number) }
        }
        do {
            try await front.start().get()
            if let (_, link, heir) = predecessor {
                heir.serves(front)
                link.send(.ready(workers: try await front.loop.submit { front.workers.map(\.socket) }.get()))
                try await heir.turn.futureResult.get()
            }
            try await front.serve().get()
        } catch {
            try? await front.loop.submit { front.abandonStart() }.get()
            if predecessor == nil { control.remove() }
            throw error
        }
        try await front.ended.futureResult.get()
        _ = signals
        if !front.isReplaced {
            control.remove()
            rmdir(ControlSocket.runtimeDirectory(control.path))
        }
    }

    /// The keeper of the privileged process: this server's, or that of the server before.
    private static func keeperLink(
        _ own: CInt?, _ inherited: Inheritance.Received?, _ migration: Migration
    ) throws(RuntimeError) -> KeeperLink? {
        guard let descriptor = own ?? inherited?.keeper else { return nil }
        guard migration.isConfigured else {
            close(descriptor)
            return nil
        }
        if own == nil, inherited?.inheritance.networkArguments != migration.networkArguments {
            throw RuntimeError(
                .configuration,
                "migration: interface, addresses and commands cannot be changed by an upgrade; restart the server")
        }
        return KeeperLink(owning: descriptor)
    }

    /// Does what needs a privilege, and goes on without, as another user if one is given. No peer has been heard yet.
    private static func restart(
        as account: Account?, _ configuration: Configuration, _ activated: [ActivatedSocket]
    ) throws -> Never {
        if let account {
            guard geteuid() == 0 else {
                throw RuntimeError(
                    .configuration,
                    "user: only root can become user \(account.name ?? "\(account.user)"); start as root, or leave user "
                        + "out")
            }
            try ControlSocket.prepare(configuration.control, for: account)
        }
        // Raised while it may be; the limit stays.
        DescriptorLimit.raise()
        var sockets = try openSockets(configuration, nil, activated)
        let admin = sockets.removeValue(forKey: Front.adminName)
        let named = sockets.sorted { $0.key < $1.key }.map { (name: $0.key, descriptor: $0.value.descriptor) }
        let migration = configuration.migration
        let keeper = migration.isConfigured && NetworkMain.hasPrivileges ? try KeeperLink.startKeeper(migration) : nil
        if let account {
            Logger(label: "baton").notice(
                "going on without privileges", metadata: ["user": "\(account.user)", "group": "\(account.group)"])
        }
        try ProgramRestart(
            sockets: named + (admin.map { [(name: "admin", descriptor: $0.descriptor)] } ?? []), keeper: keeper
        ).run(as: account)
    }

    private static func keys(_ inheritance: Inheritance?) throws -> TicketKeysBox {
        guard let inheritance else { return TicketKeysBox() }
        return TicketKeysBox(try TicketKeys(copying: inheritance.ticketKeys.span.bytes))
    }

    /// Sockets that the running server had for the same address, or that the service manager has opened, are taken over;
    /// others are opened, or closed.
    ///
    /// - Returns: by the names of listeners, and `Front.adminName`.
    private static func openSockets(
        _ configuration: Configuration, _ inherited: Inheritance.Received?,
        _ activated: [ActivatedSocket]
    ) throws -> [String: ListeningSocket] {
        var received: [String: (address: String, descriptor: CInt)] = [:]
        if let inherited {
            for (socket, descriptor) in zip(inherited.inheritance.listeners, inherited.listening) {
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
        var sockets: [String: ListeningSocket] = [:]
        for (name, listener) in configuration.listeners.sorted(by: { $0.key < $1.key }) {
            sockets[name] = try open(name, listener.address)
        }
        if let address = configuration.admin {
            sockets[Front.adminName] = try open(Front.adminName, address, key: "admin")
        }
        if let stray = activated.first {
            throw RuntimeError(
                .configuration,
                "the service manager's socket '\(stray.name)' at \(stray.address.map { "\($0)" } ?? "an unknown address") "
                    + "belongs to no listener; name it after one by FileDescriptorName=")
        }
        for (_, descriptor) in received.values { close(descriptor) }
        return sockets
    }
}
