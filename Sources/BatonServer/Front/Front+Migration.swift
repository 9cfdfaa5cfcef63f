internal import BatonCore
internal import Glibc
internal import Logging
internal import NIOCore
internal import Synchronization

extension Front {
    /// Starts the two processes that move connections between hosts: the privileged one, and the one that speaks with other
    /// hosts, joined by a socket that is handed to them.
    func startMigration() {
        do {
            let (near, far) = try UnixSocket.pair(SOCK_SEQPACKET)
            defer { close(near) }
            let child: ChildProcess
            do throws(RuntimeError) {
                child = try keeper.start(StartOrder(role: .helper, arguments: ["serve-migration"]), extra: near)
            } catch {
                close(far)
                throw error
            }
            let handle = MigrationHandle(
                process: child.process, pid: child.pid,
                socket: "\(ControlSocket.runtimeDirectory(control.path))/migration.\(child.pid)",
                networkEnd: far)
            migration = handle
            try startNetwork(handle, isRestarted: false)
            let bound = NIOLoopBound(handle, eventLoop: loop)
            keeper.watch(child.process) { [self] ending in
                loop.execute { self.migrationEnded(bound.value, "\(ending)") }
            }
            JSONLines<MigrationEvent, MigrationOrder>.open(child.link, on: loop) { [self] event in
                received(event, from: bound.value)
            } ended: {
            }.whenSuccess { [self] link in
                bound.value.link = link
                link.send(
                    .configure(MigrationSetup(file: file, flags: options.flags, socket: bound.value.socket)))
                link.send(.workers(workers.filter { $0.state == .ready }.map(\.socket)))
            }
        } catch {
            if readiness == nil {
                log.error("connections cannot move between hosts", metadata: ["reason": "\(error)"])
            }
            failReadiness("connections cannot move between hosts: \(error)")
        }
    }

    /// They end when nothing is under way in them.
    func endMigration() {
        migration?.link?.channel.close(promise: nil)
        if let counts = migration?.counts { tally.withLock { $0.migrationEnded(counts) } }
        migration = nil
    }

    private func received(_ event: MigrationEvent, from handle: MigrationHandle) {
        switch event {
        case .ready:
            handle.isReady = true
            becomeReady()
        case .failed(let why): failReadiness("connections cannot move between hosts: \(why)")
        case .counts(let counts): handle.counts = counts
        default: drain?.received(event)
        }
    }

    /// Without its keeper a server goes on, and moves connections as long as the privileged process lives.
    func privilegeKeeperLost() {
        log.error("the process that starts the privileged one is gone; restart the server when it can be")
        privilegeLink = nil
        migration?.closeNetworkEnd()
    }

    private func startNetwork(_ handle: MigrationHandle, isRestarted: Bool) throws(RuntimeError) {
        guard let privilegeLink else { throw NetworkMain.lacksPrivileges }
        handle.networkStartedAt = MonotonicTime.now
        let bound = NIOLoopBound(handle, eventLoop: loop)
        try privilegeLink.start(at: handle.networkEnd, isRestarted: isRestarted) { [self] ending in
            loop.execute { self.networkEnded(bound.value, ending) }
        }
    }

    /// Another takes its place, at the same socket: what it was asked for may be done in part, and the migration process
    /// hears of it.
    private func networkEnded(_ handle: MigrationHandle, _ ending: ProcessEnding) {
        guard migration === handle, ending != .exited(0) else { return }
        if case .starting = phase { return failReadiness("the privileged process has ended (\(ending)); see the log") }
        log.error("the privileged process has died; another takes its place", metadata: ["ending": "\(ending)"])
        let isFast = MonotonicTime.now < handle.networkStartedAt + 5_000_000_000
        let bound = NIOLoopBound(handle, eventLoop: loop)
        loop.scheduleTask(in: isFast ? .seconds(1) : .zero) { [self] in
            guard migration === bound.value else { return }
            do throws(RuntimeError) {
                try startNetwork(bound.value, isRestarted: true)
            } catch {
                log.error("it cannot be started", metadata: ["reason": "\(error)"])
                keeper.signal(bound.value.process, SIGKILL)
            }
        }
    }

    private func migrationEnded(_ handle: MigrationHandle, _ ending: String) {
        unlink(handle.socket)
        unlink(handle.socket + ".lock")
        guard migration === handle else { return }
        endMigration()
        drain?.migrationEnded(ending)
        switch phase {
        case .starting: failReadiness("the migration process ended while it started (\(ending)); see the log")
        case .serving, .replacing:
            log.error(
                "the migration process has died; what it was moving is closed, another takes its place",
                metadata: ["pid": "\(handle.pid)", "ending": "\(ending)"])
            loop.scheduleTask(in: .seconds(1)) { [self] in
                if case .serving = phase, migration == nil { startMigration() }
            }
        case .retiring, .finishing: endIfDone()
        }
    }
}
