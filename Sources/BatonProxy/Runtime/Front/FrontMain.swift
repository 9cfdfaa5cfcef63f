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
        func predecessorEnded(_ totals: WorkerReport?) {
            let front = state.withLock { state in
                state.isAlone = true
                return state.front
            }
            turn.succeed()
            front?.loop.execute {
                if let totals { front?.predecessors = totals }
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
        OpenFileLimit.raise()
        ServeLog.bootstrap()
        guard let path = options.takeover else { return try await serve(options, predecessor: nil) }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let heir = Heir(loop)
        let descriptor = fcntl(0, F_DUPFD_CLOEXEC, 3)
        let link = try await JSONLines<PredecessorMessage, SuccessorMessage>.open(descriptor, on: loop) { message in
            switch message {
            case .accept: heir.turn.succeed()
            case .ended(let totals): heir.predecessorEnded(totals)
            }
        } ended: {
            heir.predecessorEnded(nil)
        }.get()
        do {
            try await serve(options, predecessor: (path, link, heir))
        } catch {
            let line = JSONLink<SuccessorMessage>.line(.failed("\(error)"))
            if let line { try? await link.channel.writeAndFlush(line).get() }
            throw error
        }
    }

    private static func serve(
        _ options: ServeOptions, predecessor: (path: String, link: JSONLink<SuccessorMessage>, heir: Heir)?
    ) async throws {
        let (configuration, file) = try options.read()
        guard configuration.user == nil else {
            throw RuntimeError(.configuration, "user and group are not supported yet; start the server as that user")
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
            front.lastWorkerNumber = inherited?.0.lastWorkerNumber ?? 0
            front.hasPredecessor = predecessor != nil
            try openListeners(front, inherited)
        } catch {
            if predecessor == nil { control.remove() }
            throw error
        }
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
            front.abandonStart()
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

    private static func keys(_ inheritance: Inheritance?) throws -> TicketKeysBox {
        guard let inheritance else { return TicketKeysBox() }
        return TicketKeysBox(try TicketKeys(copying: inheritance.ticketKeys.span.bytes))
    }

    /// Sockets that the running server had for the same address are taken over; others are opened, or closed.
    private static func openListeners(_ front: Front, _ inherited: (Inheritance, ControlSocket, [CInt])?) throws {
        var received: [String: (address: String, descriptor: CInt)] = [:]
        if let (inheritance, _, descriptors) = inherited {
            for (socket, descriptor) in zip(inheritance.listeners, descriptors) {
                received[socket.name] = (socket.address, descriptor)
            }
        }
        for (name, listener) in front.configuration.listeners.sorted(by: { $0.key < $1.key }) {
            let socket: ListeningSocket
            if let old = received[name], old.address == "\(listener.address)" {
                received[name] = nil
                socket = ListeningSocket(name: name, address: listener.address, descriptor: old.descriptor)
            } else {
                socket = try ListeningSocket.open(name, listener.address)
            }
            front.listeners[name] = Front.OpenListener(socket: socket)
        }
        for (_, descriptor) in received.values { close(descriptor) }
    }
}
