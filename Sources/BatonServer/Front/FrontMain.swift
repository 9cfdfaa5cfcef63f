internal import BatonConfiguration
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import TLSHandshake

/// `baton serve`.
package enum FrontMain {
    /// Serves until it is told to end or has been replaced.
    ///
    /// - Throws: `ConfigurationError`, `RuntimeError` and others, all before it has served; what cannot be done later is
    ///   logged.
    package static func run(_ options: ServeOptions) async throws {
        _ = BinaryPath.atStart
        ServeLog.bootstrap()
        let signals = Signals()
        let activated = try ActivatedSocket.takeAll()
        let keeper = KeeperLink.takeLeft()
        guard let path = options.takeover else {
            return try await serve(options, predecessor: nil, activated, keeper: keeper, signals)
        }
        if keeper == nil, NetworkMain.hasPrivileges, let migration = try? options.read().configuration.migration,
            migration.isConfigured
        {
            // The server before this one moves no connections. Nothing has been read from its link yet.
            try ProgramRestart(keeper: KeeperLink.startKeeper(migration)).run(as: nil)
        }
        let predecessor = try await Predecessor.meet(at: path)
        do {
            try await serve(options, predecessor: predecessor, activated, keeper: keeper, signals)
        } catch {
            await predecessor.sayFailed("\(error)")
            throw error
        }
    }

    private static func serve(
        _ options: ServeOptions, predecessor: Predecessor?, _ activated: [ActivatedSocket], keeper: CInt?,
        _ signals: Signals
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
            let policy = try FrontPolicy(configuration, keys: keys)
            let listening = try prepare(configuration, inherited, activated)
            front = try Front(
                options, configuration, file: file, policy: policy,
                group: MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount), control: control, keys: keys,
                listening: listening, predecessors: inheritance?.past ?? WorkerReport())
        } catch {
            if predecessor == nil { control.remove() }
            throw error
        }
        front.lastWorkerNumber = inheritance?.lastWorkerNumber ?? 0
        front.workersAsked = inheritance?.workersAsked
        front.predecessorCounts = inheritance?.counts ?? FrontCounts()
        front.keeper = keeperLink
        front.predecessor = predecessor
        front.predecessorKnowsMore = inheritance?.version != nil
        signals.hear { number in front.loop.execute { front.received(number) } }
        do {
            try await front.start().get()
            try await front.loop.submit { try front.prepareListening() }.get()
            if let predecessor {
                predecessor.introduce(front)
                try FaultPoint.reach("prepared")
                let workers = try await front.loop.submit { front.workers.map(\.socket) }.get()
                predecessor.say(.ready(workers: workers, program: .current))
                try FaultPoint.reach("ready")
                try await predecessor.turn.futureResult.get()
                try FaultPoint.reach("told")
            }
            try await front.serve().get()
            try FaultPoint.reach("serving")
            try await front.loop.submit { front.tellPredecessor(.accepting) }.get()
            try FaultPoint.reach("accepting")
        } catch {
            try? await front.loop.submit { front.abandonStart() }.get()
            if predecessor == nil { control.remove() }
            throw error
        }
        try await front.ended.futureResult.get()
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
        let sockets = try prepare(configuration, nil, activated).sockets
        if let account { for socket in sockets where !socket.isActivated { socket.give(to: account) } }
        let named = sockets.map { socket in
            let name = socket.name == Front.adminName ? "admin" : socket.name
            return (
                name: socket.isActivated ? name : ActivatedSocket.ownPrefix + name, descriptor: socket.descriptor
            )
        }
        let migration = configuration.migration
        let keeper = migration.isConfigured && NetworkMain.hasPrivileges ? try KeeperLink.startKeeper(migration) : nil
        if let account {
            Logger(label: "baton").notice(
                "going on without privileges", metadata: ["user": "\(account.user)", "group": "\(account.group)"])
        }
        try ProgramRestart(
            sockets: named, keeper: keeper
        ).run(as: account)
    }

    private static func keys(_ inheritance: Inheritance?) throws -> TicketKeysBox {
        guard let inheritance else { return TicketKeysBox() }
        let keys = try TicketKeys(copying: inheritance.ticketKeys.span.bytes)
        return TicketKeysBox(keys, createdAt: inheritance.ticketKeysCreatedAt ?? Int64(time(nil)))
    }

    /// Sockets that the running server had for the same place, or that the service manager has opened, are taken over;
    /// others are bound.
    private static func prepare(
        _ configuration: Configuration, _ inherited: Inheritance.Received?, _ activated: [ActivatedSocket]
    ) throws -> PreparedListening {
        let given = activated.map { socket in
            let name = socket.name == "admin" ? Front.adminName : socket.name
            let address = name == Front.adminName ? configuration.admin : configuration.listeners[name]?.address
            return ListeningSocket(
                name: name, address: address ?? .tcp(.any, port: 0), descriptor: socket.descriptor, place: socket.place,
                isActivated: !socket.isOwn)
        }
        let plan = try ListeningPlan(configuration, having: (inherited?.sockets ?? []) + given)
        if let stray = plan.surplus.first(where: { given.contains($0) }) {
            throw RuntimeError(
                .configuration,
                "the service manager's socket '\(stray.name)' at \(stray.place) belongs to no listener; name it after "
                    + "one by FileDescriptorName=")
        }
        return try PreparedListening(plan, backlog: configuration.backlog)
    }
}
