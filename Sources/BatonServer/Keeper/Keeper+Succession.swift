internal import BatonCore
internal import CLinuxSockets
internal import Foundation
internal import Libc

/// Another service succeeds this one, or this one another.
///
/// The two keepers speak as a keeper and a worker do in an upgrade: to the old one the new service is a worker that is to have
/// all estates, and the new one passes on to its own workers what it is told. So there is one order of events, and one moment
/// from which an estate is another's: the old keeper says `begin` when the estate has no owner, and has nothing of it from
/// there on. What does not reach the new service after that is lost, and nobody else begins with it.
extension Keeper {
    /// No process has this number: whoever would signal another service's process signals none.
    private static let noProcess = pid_t.max

    // MARK: The service that is succeeded

    /// Gives another service the links to the front and to this process.
    ///
    /// - Parameter guest: its connection to the control socket.
    func invite(_ takeover: String, _ guest: CInt, for front: KeptFront) -> Result<
        (child: Child, link: CInt), SystemCode
    > {
        guard self.guest == nil, front === serving else { return .failure(SystemCode(EBUSY)) }
        var peer = baton_credentials()
        guard baton_peer_credentials(guest, &peer) == 0, peer.uid == geteuid() else {
            return .failure(SystemCode(EPERM))
        }
        guard let link = try? UnixSocket.pair(SocketKind.stream) else { return .failure(SystemCode(errno)) }
        defer { close(link.1) }
        guard let own = try? UnixSocket.pair(SocketKind.sequencedPackets) else {
            let code = SystemCode(errno)
            close(link.0)
            return .failure(code)
        }
        defer { close(own.1) }
        let channel = KeeperChannel(owning: own.0)
        let text = (try? JSONEncoder().encode(ControlResponse.granted(takeover: takeover))) ?? Data()
        let line = Array(text) + [UInt8(ascii: "\n")]
        let result = line.withUnsafeBytes {
            baton_send_message(guest, $0.baseAddress, $0.count, nil, 0, [link.1, own.1], 2)
        }
        guard result == 0 else {
            close(link.0)
            return .failure(SystemCode(-result))
        }
        lastProcess += 1
        lastLine += 1
        let program = ServerLine(lastLine, Program(file: -1, name: "", arguments: []))
        let child = Child(
            process: lastProcess, pid: Self.noProcess, role: .elsewhere(takeover: takeover), line: program,
            owner: front, channel: channel)
        children[lastProcess] = child
        return .success((child, link.0))
    }

    /// The other service that is to succeed this one, or does.
    var guest: Child? { children.values.first(where: \.isElsewhere) }

    /// A front's signal to the other service.
    func signal(_ guest: Child, _ number: CInt) {
        switch number {
        case SIGHUP: guest.channel?.send(bytes: SuccessionNotice.reload.encoded)
        case SIGKILL:
            // One that does not answer is given up the second time. It finds that out before it does anything else.
            guard !guest.isCondemned else { return guestEnded(guest) }
            children[guest.process]?.isCondemned = true
            guest.channel?.send(bytes: SuccessionNotice.giveUp.encoded)
        default: break
        }
    }

    /// The other service says something that no worker says.
    func hear(_ notice: SuccessionNotice, from guest: Child) {
        guard notice == .serves, !guest.isCondemned else { return }
        children[guest.process]?.hasServed = true
    }

    /// The other service is gone, or is not to be waited for.
    func guestEnded(_ guest: Child) {
        guard children.removeValue(forKey: guest.process) != nil else { return }
        withdrawBequests(to: guest.process)
        guest.owner?.channel.send(KeeperEvent.ended(process: guest.process, status: 0))
    }

    /// The front has ended that another service is to succeed.
    ///
    /// - Returns: whether that is the service now.
    func giveUpOrFollow(_ guest: Child, _ front: KeptFront, _ ending: ProcessEnding) -> Bool {
        guard guest.hasServed || front.leaves else {
            guest.channel?.send(bytes: SuccessionNotice.giveUp.encoded)
            guestEnded(guest)
            return false
        }
        if ending == .exited(0), front.leaves { return true }
        log.error(
            "the front has died while another service took over; that gets what it can have without it",
            ["pid": "\(front.pid)", "ending": "\(ending)"])
        for estate in children.values.flatMap(\.estates.values) where estate.bequest != nil {
            estate.bequest?.isDue = true
            yield(estate)
        }
        return true
    }

    /// Whether another service has all that was for it.
    var hasToldGuest: Bool { guest?.channel?.hasOutgoing != true }

    // MARK: The service that succeeds another

    /// The service before this one says something.
    func hear(_ heritage: Heritage) {
        while self.heritage === heritage {
            switch heritage.channel.receive() {
            case .nothing: return
            case .end: endHeritage()
            case .shortage(let bytes):
                noteShortage()
                if let estate = EstateMessage(lacking: bytes).flatMap({ heritage.estates[$0.number] }) {
                    estate.noteMissing()
                    decline(estate, heritage)
                }
            case .message(let message): hear(message, heritage)
            }
        }
    }

    private func hear(_ message: KeeperChannel.Message, _ heritage: Heritage) {
        guard let word = EstateMessage(message.bytes, descriptors: message.descriptors.count) else {
            for descriptor in message.descriptors { close(descriptor) }
            switch SuccessionNotice(message.bytes) {
            case .giveUp?: giveUp()
            case .reload?: received(SIGHUP)
            case .serves?, nil: break
            }
            return
        }
        let estate = heritage.estates[word.number]
        switch word.kind {
        case .arena: heritage.estates[word.number] = Estate(word.number, arena: message.descriptors[0])
        case .keep:
            keep(word, message.descriptors, in: estate)
            if let estate, estate.isIncomplete { decline(estate, heritage) }
        case .release: release(word, message.bytes, of: estate)
        case .prepare:
            if let estate, let heir = heir(heritage) {
                bequeath(estate, to: heir)
            } else {
                heritage.channel.send(bytes: EstateMessage.prepared(word.number, false).encoded)
            }
        case .withdraw:
            heritage.estates[word.number] = nil
            if let estate { withdraw(estate) }
        case .begin:
            guard let estate, let entry = word.entries.first else { return }
            heritage.estates[word.number] = nil
            estate.yieldedAt = entry.generation
            leave(estate, Estate.End(rawValue: UInt8(truncatingIfNeeded: entry.slot)) ?? .killed)
            if !estates.isEmpty { giveEstates() }
        case .lost, .prepared, .yield, .yielded: break
        }
    }

    /// The worker with the least.
    private func heir(_ heritage: Heritage) -> UInt32? {
        guard let line = (serving ?? fronts.first)?.line else { return nil }
        let counts = Dictionary(heritage.estates.values.compactMap { $0.bequest.map { ($0.heir, 1) } }) { $0 + $1 }
        return heirs(of: line).min { (counts[$0] ?? 0, $0) < (counts[$1] ?? 0, $1) }
    }

    /// A worker is prepared for an estate that is another service's still, or cannot have it.
    ///
    /// - Returns: whether it is such an estate.
    func prepared(inHeritage word: EstateMessage, by process: UInt32) -> Bool {
        guard let heritage, let estate = heritage.estates[word.number], estate.bequest?.heir == process else {
            return false
        }
        if word.entries.first?.slot == 1 {
            estate.bequest?.isPrepared = true
            heritage.channel.send(bytes: EstateMessage.prepared(word.number, true).encoded)
        } else {
            decline(estate, heritage)
        }
        return true
    }

    /// The connections of an estate come as parcels, unless the service before this one has given it up already.
    private func decline(_ estate: Estate, _ heritage: Heritage) {
        withdraw(estate)
        heritage.channel.send(bytes: EstateMessage.prepared(estate.number, false).encoded)
    }

    /// The service before this one has ended. What it has not said to be this one's is its workers'.
    private func endHeritage() {
        guard let heritage else { return }
        self.heritage = nil
        for estate in heritage.estates.values { withdraw(estate) }
    }

    /// The service before this one goes on: nothing of it has come, and this one ends.
    private func giveUp() {
        log.error("the running service goes on, and this one ends; the other's log tells why")
        endHeritage()
        exitStatus = exitStatus ?? 1
        for front in fronts { kill(front.pid, SIGKILL) }
        for child in children.values where !child.isElsewhere { kill(child.pid, SIGKILL) }
    }
}

extension Keeper.Child {
    /// Whether it is another service, and no process of this one.
    var isElsewhere: Bool { if case .elsewhere = role { true } else { false } }
}

extension EstateMessage {
    fileprivate static func prepared(_ number: UInt32, _ isPrepared: Bool) -> EstateMessage {
        EstateMessage(.prepared, number, [.init(slot: isPrepared ? 1 : 0, generation: 0)])
    }
}
