internal import BatonConfiguration
internal import Libc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import TLSHandshake

/// `baton serve-front`, which only the keeper starts.
package enum FrontMain {
    /// What a front begins with.
    private struct Beginning {
        var configuration: Configuration
        var file: String?
        var given: KeeperLink.Given
        /// From the server before this one, or from a dead front whose place this one takes.
        var inherited: Inheritance.Received?
        /// Whether the dead front had been told to stop, and did not listen any more.
        var acceptsNoMore = false
    }

    /// Serves until it is told to end or has been replaced.
    ///
    /// - Throws: `ConfigurationError`, `RuntimeError` and others, all before it has served; what cannot be done later is
    ///   logged.
    package static func run(_ options: ServeOptions) async throws {
        _ = BinaryPath.atStart
        let keeper = try KeeperLink()
        let privileges = PrivilegeLink.takeLeft()
        if privileges == nil, startsPrivilegeKeeper(options),
            let migration = try? options.read().configuration.migration
        {
            // The server before this one moves no connections. Nothing has been read from its link, or the keeper's.
            try ProgramRestart(
                privileges: PrivilegeLink.startKeeper(migration), keeperLink: KeeperLink.descriptor
            ).run(as: nil)
        }
        ServeLog.bootstrap()
        FaultPoint.tryForbidden(Logger(label: "baton"))
        let signals = Signals()
        guard let path = options.takeover else {
            return try await serve(options, predecessor: nil, keeper, privileges, signals)
        }
        let predecessor = try await Predecessor.meet(at: path)
        do {
            try await serve(options, predecessor: predecessor, keeper, privileges, signals)
        } catch {
            await predecessor.sayFailed("\(error)")
            throw error
        }
    }

    /// Whether this front is to start the keeper of the privileged process, and be executed anew: the server before it moves no
    /// connections.
    static func startsPrivilegeKeeper(_ options: ServeOptions) -> Bool {
        options.takeover != nil && !PrivilegeLink.isLeft && NetworkMain.hasPrivileges
            && (try? options.read().configuration.migration.isConfigured) == true
    }

    private static func begin(
        _ options: ServeOptions, _ predecessor: Predecessor?, _ keeper: KeeperLink
    ) throws -> Beginning {
        let given = try keeper.open(options)
        if let left = given.left {
            let (received, configuration, state) = try FrontState.receive(left, options)
            return Beginning(
                configuration: configuration, file: state.file, given: given, inherited: received,
                acceptsNoMore: state.acceptsNoMore)
        }
        let (configuration, file) = try options.read()
        let account = try configuration.user.map { try Account(user: $0, group: configuration.group) }
        guard account?.isCurrent != false else {
            throw RuntimeError(.configuration, "user: an upgrade cannot change the user; restart the server")
        }
        var beginning = Beginning(configuration: configuration, file: file, given: given)
        if let path = predecessor?.path {
            // Another service tells the name alone: the directory is beside the control socket that both see.
            let directory = ControlSocket.runtimeDirectory(configuration.control)
            beginning.inherited = try Inheritance.receive(
                from: path.contains("/") ? path : "\(directory)/\(path)", control: configuration.control)
        }
        return beginning
    }

    private static func serve(
        _ options: ServeOptions, predecessor: Predecessor?, _ keeper: KeeperLink,
        _ ownPrivileges: CInt?, _ signals: Signals
    ) async throws {
        DescriptorLimit.raise()
        let beginning = try begin(options, predecessor, keeper)
        let (configuration, inherited, given) = (beginning.configuration, beginning.inherited, beginning.given)
        let log = SharedLogger("baton", level: configuration.logLevel.swiftLog).current
        ConfinedProcess.ofThisProcess?.tell(log)
        MemoryLock.tell(log)
        let audience = Audience()
        for number in given.signals {
            signals.received(number)
            keeper.hasHeard()
        }
        keeper.listen(audience.receivers(signals, keeper))
        let privileges = try privilegeLink(ownPrivileges ?? given.privileges, inherited, configuration.migration)
        let control = try inherited?.control ?? ControlSocket.open(configuration.control)
        let inheritance = inherited?.inheritance
        let front: Front
        do {
            let files = FileStamps(of: configuration.watchedFiles)
            let keys = try keys(inheritance, configuration, isRestored: given.left != nil)
            let policy = try FrontPolicy(configuration, keys: keys, files: files)
            var sockets = configuration
            if beginning.acceptsNoMore { sockets.listeners = [:] }
            let listening = try PreparedListening.prepare(
                sockets, inherited: inherited?.sockets ?? [], given.activated)
            front = try Front(
                options, configuration, file: beginning.file, policy: policy,
                group: MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount), control: control, keys: keys,
                listening: listening,
                inheritance, keeper: keeper, given: given, privileges: privileges, predecessor: predecessor)
        } catch {
            if inherited == nil { control.remove() }
            throw error
        }
        audience.introduce(front)
        signals.hear { front.received($0) }
        do {
            if given.left != nil { try FaultPoint.reach("restored") }
            try await front.start().get()
            let workers = try await front.prepare().get()
            if let predecessor {
                try FaultPoint.reach("prepared")
                predecessor.say(.ready(workers: workers, program: .current))
                try FaultPoint.reach("ready")
                try await predecessor.turn.get()
                try FaultPoint.reach("told")
            }
            try await front.serve().get()
            try FaultPoint.reach("serving")
            try await front.announce().get()
            try FaultPoint.reach("accepting")
        } catch {
            try? await front.abandonStart().get()
            if inherited == nil { control.remove() }
            throw error
        }
        let isReplaced = try await front.end.get()
        if !isReplaced {
            control.remove()
            rmdir(ControlSocket.runtimeDirectory(control.path))
        }
    }

    /// Passes on to the front what the keeper says, once there is one.
    private final class Audience: Sendable {
        private let front = Mutex<Front?>(nil)

        func introduce(_ front: Front) { self.front.withLock { $0 = front } }

        func receivers(_ signals: Signals, _ keeper: KeeperLink) -> KeeperLink.Receivers {
            KeeperLink.Receivers { number in
                signals.received(number)
                keeper.hasHeard()
            } worker: { [self] worker, link in
                guard let front = front.withLock({ $0 }) else {
                    close(link)
                    return
                }
                front.adopt(worker, link)
            } deaths: { [self] deaths in
                front.withLock { $0 }?.note(deaths)
            } asked: { [self] in
                front.withLock { $0 }?.answerKeeper()
            }
        }
    }

    /// The link to the keeper of the privileged process: this server's, or that of the server before.
    private static func privilegeLink(
        _ own: CInt?, _ inherited: Inheritance.Received?, _ migration: Migration
    ) throws(RuntimeError) -> PrivilegeLink? {
        guard let descriptor = own ?? inherited?.privileges else { return nil }
        guard migration.isConfigured else {
            close(descriptor)
            return nil
        }
        if own == nil, inherited?.inheritance.networkArguments != migration.networkArguments {
            throw RuntimeError(
                .configuration,
                "migration: interface, addresses and commands cannot be changed by an upgrade; restart the server")
        }
        return PrivilegeLink(owning: descriptor)
    }

    /// - Parameter isRestored: where a front has died, another goes on whatever has become of its files.
    private static func keys(
        _ inheritance: Inheritance?, _ configuration: Configuration, isRestored: Bool
    ) throws -> TicketKeysBox {
        do {
            if let shared = try TicketKeysBox(fileOf: configuration) { return shared }
        } catch {
            guard isRestored, inheritance != nil else { throw error }
        }
        guard let inheritance else { return TicketKeysBox() }
        let keys = try TicketKeys(copying: inheritance.ticketKeys.span.bytes)
        return TicketKeysBox(keys, createdAt: inheritance.ticketKeysCreatedAt ?? Int64(time(nil)))
    }
}

extension PreparedListening {
    /// Sockets that the running server had for the same place, or that the service manager has opened, are taken over;
    /// others are bound.
    static func prepare(
        _ configuration: Configuration, inherited: [ListeningSocket], _ activated: [ActivatedSocket]
    ) throws -> PreparedListening {
        let given = activated.map { socket in
            let name = socket.name == "admin" ? ListeningSocket.adminName : socket.name
            let address =
                name == ListeningSocket.adminName ? configuration.admin : configuration.listeners[name]?.address
            return ListeningSocket(
                name: name, address: address ?? .tcp(.any, port: 0), descriptor: socket.descriptor, place: socket.place,
                isActivated: !socket.isOwn)
        }
        let plan = try ListeningPlan(configuration, having: inherited + given)
        if let stray = plan.surplus.first(where: { given.contains($0) }) {
            throw RuntimeError(
                .configuration,
                "the service manager's socket '\(stray.name)' at \(stray.place) belongs to no listener; name it after "
                    + "one by FileDescriptorName=")
        }
        return try PreparedListening(plan, backlog: configuration.backlog)
    }
}
