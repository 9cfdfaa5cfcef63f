internal import BatonCore
internal import CLinuxSockets
internal import Foundation
internal import Libc

/// The life of fronts.
extension Keeper {
    /// Starts a front of the service's program.
    func startFront(_ role: KeptFront.Role) {
        guard exitStatus == nil else { return }
        guard let link = try? UnixSocket.pair(SocketKind.sequencedPackets) else {
            return frontFailed(SystemCode(errno).text)
        }
        defer { close(link.1) }
        // The first speaks with the front of the service before, if there is one.
        let former = role == .first ? heritage : nil
        let input =
            role == .first
            ? fcntl(former?.link ?? 0, F_DUPFD_CLOEXEC, 3) : open("/dev/null", O_RDWR | O_CLOEXEC)
        former?.closeLink()
        guard input >= 0 else {
            let code = SystemCode(errno)
            close(link.0)
            return frontFailed(code.text)
        }
        defer { close(input) }
        service.dropGathered()
        let takeover = former.map { ["--takeover", $0.takeover] } ?? []
        let started = service.program.start(
            ["serve-front"] + takeover + service.program.arguments, standardInput: input, extra: link.1,
            diesWithParent: true)
        switch started {
        case .failure(let code):
            close(link.0)
            frontFailed(code.text)
        case .success(let pid):
            lastProcess += 1
            fronts.append(
                KeptFront(
                    process: lastProcess, pid: pid, channel: KeeperChannel(owning: link.0), line: service, role: role))
        }
    }

    // MARK: What a front says

    func hear(_ front: KeptFront) {
        while true {
            switch front.channel.receive() {
            case .nothing: return
            case .shortage: noteShortage()
            case .end:
                // The end of its process tells more, and comes with it.
                return
            case .message(let message):
                let descriptor = message.onlyDescriptor()
                guard let request = try? JSONDecoder().decode(KeeperRequest.self, from: Data(message.bytes)) else {
                    if let descriptor { close(descriptor) }
                    log.error("a front says what this program does not know", ["pid": "\(front.pid)"])
                    continue
                }
                perform(request, descriptor, for: front)
            }
        }
    }

    private func perform(_ request: KeeperRequest, _ descriptor: CInt?, for front: KeptFront) {
        switch (request, descriptor) {
        case (.hello(let name, let arguments, let readsStates, let answers), let file?):
            front.answers = answers ?? false
            if front.line.program.file >= 0 { close(front.line.program.file) }
            front.line.program = Program(file: file, name: name, arguments: arguments)
            front.line.readsStates = readsStates
            welcome(front)
            return
        case (.start(let turn, let order), _):
            start(order, turn, extra: descriptor, for: front)
            return
        case (.keep, let descriptor?):
            front.line.keep(descriptor)
            return
        case (.state(let isAlone), let descriptor?):
            front.line.use(descriptor, isAlone: isAlone)
            return
        case (.signal(let process, let number), nil):
            if let child = children[process], child.owner === front {
                if child.isElsewhere { return signal(child, number) }
                if number == SIGKILL { children[process]?.isCondemned = true }
                kill(child.pid, number)
            }
        case (.heard, nil): front.hasHeard()
        case (.isThere, nil): watchdog?.answered(front.process)
        case (.serves, nil): serves(front)
        case (.leaves, nil):
            front.leaves = true
            if front !== serving { front.line.clear() }
        case (.wait(let turn), nil): front.channel.send(KeeperEvent.done(turn: turn))
        case (.prepare(let turn, let workers), nil): prepare(workers, turn, for: front)
        case (.handOver(let turn, let workers), nil): handOver(workers, turn, for: front)
        case (.notify(let notification), nil):
            notify(notification)
            // Somebody has told the front itself.
            if notification == .stopping, front === serving, stops.isEmpty { stops = [SIGTERM] }
        default: break
        }
        if let descriptor { close(descriptor) }
    }

    /// Gives a front what there is for it to begin with.
    private func welcome(_ front: KeptFront) {
        func copy(_ descriptor: CInt) -> CInt? {
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            return copy >= 0 ? copy : nil
        }
        switch front.role {
        case .first:
            for socket in possessions.sockets {
                front.channel.send(KeeperEvent.activated(name: socket.name), owning: socket.descriptor)
            }
            if let privileges = possessions.privileges {
                front.channel.send(KeeperEvent.privileges, owning: privileges)
            }
            possessions = Possessions()
        case .restored:
            for descriptor in front.line.kept { front.channel.send(KeeperEvent.kept, owning: copy(descriptor)) }
            if let state = front.line.state { front.channel.send(KeeperEvent.state, owning: copy(state)) }
            for process in children.keys.sorted() {
                if let child = children[process], child.owner == nil { give(child, to: front) }
            }
        case .successor, .serving, .former: break
        }
        front.channel.send(KeeperEvent.handsOver)
        front.channel.send(KeeperEvent.handsElsewhere)
        front.channel.send(
            KeeperEvent.welcome(pid: getpid(), isRestored: front.role == .restored, deaths))
    }

    /// A front serves: the first, one that takes the place of a dead one, one that replaces another, or that one again.
    private func serves(_ front: KeptFront) {
        guard !front.isDoomed, serving !== front else { return }
        let isRestored = front.role == .restored
        if let former = serving { former.role = .former }
        let before = service
        service = front.line
        if before !== service, fronts.allSatisfy({ $0.line !== before }) { before.clear() }
        serving = front
        front.role = .serving
        front.leaves = false
        front.servesSince = MonotonicTime.now
        heritage?.channel.send(bytes: SuccessionNotice.serves.encoded)
        // It was welcomed with those until then.
        tellDeaths()
        giveOrphans()
        // A front that was there has heard those.
        if isRestored { for number in stops { front.tell(number) } }
        for number in waitingSignals { front.tell(number) }
        waitingSignals = []
    }

    // MARK: The end of a front

    func ended(_ front: KeptFront, _ ending: ProcessEnding) {
        fronts.removeAll { $0 === front }
        front.line.dropGathered()
        let isSucceeded = guest.map { $0.owner === front && giveUpOrFollow($0, front, ending) } ?? false
        for (process, child) in children where child.owner === front {
            // Of a front nobody else is to hear.
            if child.role == .successor { children[process] = nil } else { children[process]?.owner = nil }
            // Nobody but the workers of one that never served has what they have: they end with that.
            if front.role == .successor {
                children[process]?.channel = nil
                // One that hangs would not notice.
                if case .worker = child.role { kill(child.pid, SIGKILL) }
            }
        }
        for number in front.unheard { keepForNext(number) }
        let wasServing = serving === front
        if wasServing { serving = nil }
        defer {
            if front.line !== service, fronts.allSatisfy({ $0.line !== front.line }) { front.line.clear() }
            giveOrphans()
        }
        if isSucceeded {
            if children.values.contains(where: { !$0.isElsewhere }) {
                stopWorkers()
                waitsForWorkers = true
            }
            return succeeded()
        }
        if case .first = front.role { return finish(ending.exitStatus) }
        if wasServing, ending == .exited(0), !front.leaves { return finish(0) }
        if wasServing || front.role == .restored {
            died(front, ending)
        } else {
            // One that was killed with the service's, one that could not replace it, or one that has been replaced.
            restartIfAlone()
        }
    }

    /// The service has ended.
    private func finish(_ status: Int32) { exitStatus = exitStatus ?? status }

    private func died(_ front: KeptFront, _ ending: ProcessEnding) {
        guard exitStatus == nil else { return }
        deaths.front += 1
        restarts.died(afterServing: front.servesSince.map { .nanoseconds(MonotonicTime.now - $0) })
        if front.role == .restored, !stops.isEmpty { return endWithoutFront("\(ending)") }
        log.error(
            "the front has died; another takes its place, handshakes under way are lost",
            ["pid": "\(front.pid)", "ending": "\(ending)", "failed_starts": "\(restarts.failures)"])
        // Who was to replace it has lost what it was to get from it.
        for successor in fronts where successor.role == .successor {
            successor.isDoomed = true
            kill(successor.pid, SIGKILL)
        }
        restartIfAlone()
    }

    /// A front that is being replaced may go on in the place of the one that has died: another starts only when none is left but
    /// such as leave.
    private func restartIfAlone() {
        guard fronts.allSatisfy(\.leaves), serving == nil, exitStatus == nil, restartAt == nil else { return }
        restartAt = Deadline.after(stops.isEmpty ? restarts.delay : .zero).nanoseconds
    }

    /// The process of a front could not be started.
    private func frontFailed(_ reason: String) {
        guard exitStatus == nil else { return }
        log.error("a front cannot be started", ["reason": reason])
        guard service.state != nil else { return finish(1) }
        guard stops.isEmpty else { return endWithoutFront(reason) }
        restarts.couldNotStart()
        restartIfAlone()
    }

    /// The service was told to stop, and no front can start that would see to it: the workers end by themselves.
    private func endWithoutFront(_ reason: String) {
        log.error(
            "no front can be started to end the server in order; the workers end by themselves",
            ["reason": reason])
        stopWorkers()
        waitsForWorkers = true
        finish(1)
    }
}

extension ProcessEnding {
    /// As a shell tells it.
    var exitStatus: Int32 {
        switch self {
        case .exited(let code): code
        case .killed(let signal): 128 + signal
        case .unknown: 1
        }
    }
}
