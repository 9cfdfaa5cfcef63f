internal import BatonCore
internal import Libc
internal import Logging
internal import NIOCore

/// The two processes that move connections between hosts, as a front has them: the privileged one, and the one that speaks
/// with other hosts, joined by a socket that is handed to them. Whichever dies is started again. Used on `loop` only.
final class MigrationProcesses: @unchecked Sendable {
    /// What the server tells and does for them.
    struct Actions {
        var moment: () -> ServerMoment
        /// The text of the configuration, and flags.
        var settings: () -> (file: String?, flags: [String])
        /// Where the workers take parcels.
        var workers: () -> [String]
        var areReady: () -> Void
        /// They cannot be had. Returns whether the server's start has failed for this.
        var failed: (String) -> Bool
        /// A drain has come further.
        var received: (MigrationEvent) -> Void
        /// A migration process is gone, which has counted this.
        var counted: (MigrationCounts) -> Void
        /// One has died.
        var died: (_ ending: String) -> Void
        /// Less is left of a server that ends.
        var hasLess: () -> Void
    }

    /// What the keeper of the privileged process has been told that it may do.
    let networkArguments: [String]
    private let loop: any EventLoop
    private let logger: SharedLogger
    private let keeper: KeeperLink
    /// Where the processes of the server meet.
    private let directory: String
    private let actions: Actions
    /// Has the privileged process started; `nil` unless connections can move between hosts.
    private var privileges: PrivilegeLink?
    private var handle: MigrationHandle?

    init(
        _ privileges: PrivilegeLink?, networkArguments: [String], in directory: String, on loop: any EventLoop,
        _ logger: SharedLogger, _ keeper: KeeperLink, _ actions: Actions
    ) {
        self.privileges = privileges
        self.networkArguments = networkArguments
        self.directory = directory
        self.loop = loop
        self.logger = logger
        self.keeper = keeper
        self.actions = actions
    }

    private var log: Logger { logger.current }

    // MARK: State

    /// Whether connections can be given to them.
    var areReady: Bool { handle?.isReady == true }

    /// Whether they start.
    var areStarting: Bool { handle?.isReady == false }

    /// Where the migration process takes parcels.
    var socket: String? { handle?.socket }

    /// What the migration process that lives has counted.
    var counts: MigrationCounts? { handle?.counts }

    /// The link to the keeper of the privileged process.
    var privilegeDescriptor: CInt? { privileges?.descriptor }

    /// Another end of that link, for a successor; `nil` if there is none.
    func sharePrivileges() -> CInt? { try? privileges?.share() }

    // MARK: Orders

    func send(_ order: MigrationOrder) { handle?.link?.send(order) }

    /// - Parameter isInherited: whether there was a server before this one, which had no privileges to hand on if there are
    ///   none here.
    func begin(isConfigured: Bool, isInherited: Bool) {
        privileges?.listen { [self] in loop.execute { self.privilegeKeeperLost() } }
        guard isConfigured else { return }
        if privileges == nil, isInherited {
            log.error("connections cannot move between hosts: the server before had no privileges to hand on")
        } else {
            start()
        }
    }

    /// Starts them again, after an upgrade that has failed.
    func resume() {
        if handle == nil, privileges != nil { start() }
    }

    /// They end when nothing is under way in them.
    func end() {
        handle?.link?.channel.close(promise: nil)
        if let handle { actions.counted(handle.counts) }
        handle = nil
    }

    // MARK: The migration process

    private func start() {
        do {
            let (near, far) = try UnixSocket.pair(SocketKind.sequencedPackets)
            defer { close(near) }
            let child: ChildProcess
            do throws(RuntimeError) {
                child = try keeper.start(StartOrder(role: .helper, arguments: ["serve-migration"]), extra: near)
            } catch {
                close(far)
                throw error
            }
            let handle = MigrationHandle(
                process: child.process, pid: child.pid, socket: "\(directory)/migration.\(child.pid)", networkEnd: far)
            self.handle = handle
            try startNetwork(handle, isRestarted: false)
            follow(handle, child.link)
        } catch {
            guard !actions.failed("connections cannot move between hosts: \(error)") else { return }
            log.error("connections cannot move between hosts", metadata: ["reason": "\(error)"])
        }
    }

    private func follow(_ handle: MigrationHandle, _ descriptor: CInt) {
        let bound = NIOLoopBound(handle, eventLoop: loop)
        keeper.watch(handle.process) { [self] ending in
            loop.execute { self.ended(bound.value, "\(ending)") }
        }
        JSONLines<MigrationEvent, MigrationOrder>.open(descriptor, on: loop) { [self] event in
            received(event, from: bound.value)
        } ended: {
        }.whenSuccess { [self] link in
            let (file, flags) = actions.settings()
            bound.value.link = link
            link.send(.configure(MigrationSetup(file: file, flags: flags, socket: bound.value.socket)))
            link.send(.workers(actions.workers()))
        }
    }

    private func received(_ event: MigrationEvent, from handle: MigrationHandle) {
        switch event {
        case .ready:
            handle.isReady = true
            actions.areReady()
        case .failed(let why): _ = actions.failed("connections cannot move between hosts: \(why)")
        case .counts(let counts): handle.counts = counts
        default: actions.received(event)
        }
    }

    private func ended(_ handle: MigrationHandle, _ ending: String) {
        unlink(handle.socket)
        unlink(handle.socket + ".lock")
        guard self.handle === handle else { return }
        end()
        actions.died(ending)
        switch actions.moment() {
        case .starting:
            _ = actions.failed("the migration process ended while it started (\(ending)); see the log")
        case .serving, .replacing:
            log.error(
                "the migration process has died; what it was moving is closed, another takes its place",
                metadata: ["pid": "\(handle.pid)", "ending": "\(ending)"])
            loop.scheduleTask(in: .seconds(1)) { [self] in
                if case .serving = actions.moment(), self.handle == nil { start() }
            }
        case .replaced, .stopping: actions.hasLess()
        }
    }

    // MARK: The privileged process

    /// Without its keeper a server goes on, and moves connections as long as the privileged process lives.
    private func privilegeKeeperLost() {
        log.error("the process that starts the privileged one is gone; restart the server when it can be")
        privileges = nil
        handle?.closeNetworkEnd()
    }

    private func startNetwork(_ handle: MigrationHandle, isRestarted: Bool) throws(RuntimeError) {
        guard let privileges else { throw NetworkMain.lacksPrivileges }
        handle.networkStartedAt = MonotonicTime.now
        let bound = NIOLoopBound(handle, eventLoop: loop)
        try privileges.start(at: handle.networkEnd, isRestarted: isRestarted) { [self] ending in
            loop.execute { self.networkEnded(bound.value, ending) }
        }
    }

    /// Another takes its place, at the same socket: what it was asked for may be done in part, and the migration process
    /// hears of it.
    private func networkEnded(_ handle: MigrationHandle, _ ending: ProcessEnding) {
        guard self.handle === handle, ending != .exited(0) else { return }
        if case .starting = actions.moment() {
            _ = actions.failed("the privileged process has ended (\(ending)); see the log")
            return
        }
        log.error("the privileged process has died; another takes its place", metadata: ["ending": "\(ending)"])
        let isFast = MonotonicTime.now < handle.networkStartedAt + 5_000_000_000
        let bound = NIOLoopBound(handle, eventLoop: loop)
        loop.scheduleTask(in: isFast ? .seconds(1) : .zero) { [self] in
            guard self.handle === bound.value else { return }
            do throws(RuntimeError) {
                try startNetwork(bound.value, isRestarted: true)
            } catch {
                log.error("it cannot be started", metadata: ["reason": "\(error)"])
                keeper.signal(bound.value.process, SIGKILL)
            }
        }
    }
}
