internal import Glibc
internal import Logging
internal import NIOCore

extension Front {
    /// Starts the two processes that move connections between hosts: the privileged one, and the one that speaks with other
    /// hosts, joined by a socket that is handed to them.
    func startMigration() {
        do {
            let (near, far) = try UnixSocket.pair(SOCK_SEQPACKET)
            defer {
                close(near)
                close(far)
            }
            let network = try ChildProcess.spawn(
                ChildProcess.thisBinary, ["serve-network"] + configuration.migration.networkArguments,
                standardInput: far)
            ChildProcess.watch(network) { [self] ending in
                loop.execute { self.networkEnded(network, ending) }
            }
            let child = try ChildProcess.start(ChildProcess.thisBinary, ["serve-migration"], extra: near)
            let handle = MigrationHandle(
                pid: child.pid, socket: "\(ControlSocket.runtimeDirectory(control.path))/migration.\(child.pid)")
            migration = handle
            let bound = NIOLoopBound(handle, eventLoop: loop)
            child.watch { [self] ending in
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
            failReadiness("connections cannot move between hosts: \(error)")
        }
    }

    /// They end when nothing is under way in them.
    func endMigration() {
        migration?.link?.channel.close(promise: nil)
        if let counts = migration?.counts {
            past.migrations += counts.arrived + counts.departed
            past.movesFailed += counts.failed
        }
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

    /// The privileged process keeps nothing that its end would lose but what was under way.
    private func networkEnded(_ pid: pid_t, _ ending: ProcessEnding) {
        guard ending != .exited(0) else { return }
        log.error("the privileged process has ended", metadata: ["pid": "\(pid)", "ending": "\(ending)"])
        // The other process sees the end of their socket; both are started anew.
        if let handle = migration { kill(handle.pid, SIGKILL) }
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

extension Migration {
    /// What the privileged process is told when it starts, and holds to.
    fileprivate var networkArguments: [String] {
        interfaces.flatMap { ["--interface", $0] } + addresses.flatMap { ["--address", "\($0)"] }
            + (takeCommand.map { ["--take-command", $0] } ?? [])
            + (leaveCommand.map { ["--leave-command", $0] } ?? [])
    }
}
