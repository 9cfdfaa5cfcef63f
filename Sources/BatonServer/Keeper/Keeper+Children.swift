internal import CLinuxSockets
internal import Foundation
internal import Libc

/// Starting processes, and hearing of their end.
extension Keeper {
    private static let maxChildren = 4_096

    /// Does what a front asks for.
    func start(_ order: StartOrder, _ turn: UInt32, extra: CInt?, for front: KeptFront) {
        defer { if let extra { close(extra) } }
        switch started(order, extra: extra, for: front) {
        case .success(let (child, link)):
            front.channel.send(
                KeeperEvent.started(turn: turn, process: child.process, pid: child.pid), owning: link)
        case .failure(let code): front.channel.send(KeeperEvent.failed(turn: turn, code: code.value))
        }
    }

    private func started(
        _ order: StartOrder, extra: CInt?, for front: KeptFront
    ) -> Result<(child: Child, link: CInt), SystemCode> {
        guard children.count < Self.maxChildren else { return .failure(SystemCode(EAGAIN)) }
        if case .elsewhere(let takeover) = order.role {
            return extra.map { invite(takeover, $0, for: front) } ?? .failure(SystemCode(EBADF))
        }
        guard let control = try? UnixSocket.pair(SocketKind.stream) else { return .failure(SystemCode(errno)) }
        defer { close(control.1) }
        var own: (CInt, CInt)?
        if order.role != .helper {
            own = try? UnixSocket.pair(SocketKind.sequencedPackets)
            if own == nil {
                let code = errno
                close(control.0)
                return .failure(SystemCode(code))
            }
        }
        defer { if let own { close(own.1) } }
        let isFront = order.role == .successor
        let result = front.line.program.start(
            order.arguments, binary: order.binary, as: order.name, standardInput: control.1,
            extra: own?.1 ?? extra ?? -1,
            diesWithParent: isFront)
        switch result {
        case .failure(let code):
            close(control.0)
            if let own { close(own.0) }
            return .failure(code)
        case .success(let pid):
            lastProcess += 1
            var child = Child(process: lastProcess, pid: pid, role: order.role, line: front.line, owner: front)
            if let own {
                let channel = KeeperChannel(owning: own.0)
                if isFront {
                    lastLine += 1
                    let program = Program(
                        file: -1, name: order.name ?? front.line.program.name, arguments: order.arguments)
                    fronts.append(
                        KeptFront(
                            process: lastProcess, pid: pid, channel: channel, line: ServerLine(lastLine, program),
                            role: .successor))
                } else {
                    child.channel = channel
                }
            }
            children[lastProcess] = child
            if case .worker = order.role, front.line === service { giveEstates(to: lastProcess) }
            return .success((child, control.0))
        }
    }

    /// Waits for all that have ended: also those that were left to this process, as the first of a container.
    func reap() {
        while true {
            var status: CInt = 0
            let pid = baton_reap(&status)
            guard pid > 0 else { return }
            if pid == trial { trialEnded(ProcessEnding(status: status)) }
            let front = fronts.first { $0.pid == pid }
            // What it has said before.
            if let front { hear(front) }
            let child = children.values.first { $0.pid == pid }
            if let child { ended(child, status) }
            if let front { ended(front, ProcessEnding(status: status)) }
        }
    }

    private func ended(_ child: Child, _ status: CInt) {
        if let channel = child.channel { hear(child, channel) }
        if let child = children.removeValue(forKey: child.process) {
            inherit(from: child, ProcessEnding(status: status))
        }
        if case .worker = child.role, ProcessEnding(status: status) != .exited(0), child.line === service {
            deaths.workers += 1
            tellDeaths()
        }
        child.owner?.channel.send(KeeperEvent.ended(process: child.process, status: status))
    }

    func tellDeaths() { serving?.channel.send(KeeperEvent.deaths(deaths)) }

    /// What a worker says.
    func hear(_ child: Child, _ channel: KeeperChannel) {
        while true {
            switch channel.receive() {
            case .nothing: return
            case .end:
                children[child.process]?.channel = nil
                if child.isElsewhere { guestEnded(child) }
                return
            case .message(let message):
                if child.isElsewhere, let notice = SuccessionNotice(message.bytes) {
                    hear(notice, from: child)
                } else {
                    hear(message, of: child.process)
                }
            case .shortage(let bytes):
                if let word = EstateMessage(lacking: bytes) {
                    children[child.process]?.estates[word.number]?.noteMissing()
                }
                noteShortage()
            }
        }
    }

    /// Gives a worker a new front, and tells that front of it.
    func give(_ child: Child, to front: KeptFront) {
        guard case .worker(let number, let directory) = child.role, let channel = child.channel,
            let link = try? UnixSocket.pair(SocketKind.stream)
        else { return }
        children[child.process]?.owner = front
        channel.send(bytes: WorkerNotice.link.encoded, owning: link.1)
        front.channel.send(
            KeeperEvent.worker(
                KeptWorker(
                    process: child.process, pid: child.pid, number: number,
                    socket: KeptWorker.socket(in: directory, number, child.pid),
                    isOwn: child.line === front.line)),
            owning: link.0)
    }

    /// Gives the workers whose front is gone to the one that serves.
    func giveOrphans() {
        guard let serving else { return }
        for process in children.keys.sorted() {
            if let child = children[process], child.owner == nil { give(child, to: serving) }
        }
    }
}
