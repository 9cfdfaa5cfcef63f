internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore
internal import TLSRecords

extension Worker {
    /// How many connections stand still at once while a worker hands over.
    private static let batch = 32

    // MARK: Coming

    func verdict(on parcel: borrowing Parcel) -> Verdict {
        guard isAccepting.isSet else { return .decline(.leaving) }
        guard isTurning else { return .decline(.unresponsive) }
        guard !parcel.sockets.isEmpty, parcel.sockets.count <= 2 else { return .decline(.unsupportedParcel) }
        guard parcel.metadata.target != nil || parcel.metadata.isUndecided,
            let state = SessionState(parcel.applicationState),
            (state.upstream != nil) == (parcel.sockets.count == 2),
            state.upstream != nil || parcel.secondSnapshot == nil
        else { return .decline(.unsupportedParcel) }
        return .accept
    }

    func receive(_ boxes: [ParcelBox]) {
        report.movesIn += boxes.count
        for box in boxes {
            guard var parcel = box.take() else { continue }
            parcel.metadata.moves &+= 1
            if let placement = parcel.metadata.takePlacement() { placed.append(placement) }
            if let pause = parcel.metadata.takePause() { note(pause: pause) }
            serve(parcel)
        }
        reportSoon()
        // Some were accepted before the word to hand over came, and committed after it.
        if case .handingOver = phase { handOver() }
    }

    /// Makes a session of a connection that is this process's.
    func serve(_ parcel: consuming Parcel) {
        guard let state = SessionState(parcel.applicationState) else { return }
        guard state.upstream == nil else { return relays.begin(parcel, state) }
        let session: Session
        switch parcel.metadata.target {
        case nil: session = RoutingSession(self, target: nil, parcel.metadata)
        case .echo: session = EchoSession(self, target: .echo, parcel.metadata)
        case .hello: session = HelloSession(self, target: .hello, parcel.metadata)
        case .worker: return handOut(parcel)
        case .upstream(let name) where parcel.metadata.isCancelRequest:
            session = CancelSession(self, upstream: name, parcel.metadata)
        case .upstream(let name): session = OpeningSession(self, upstream: name, parcel.metadata)
        }
        remember(session)
        let bound = NIOLoopBound(session, eventLoop: loop)
        bootstrap { channel in try bound.value.install(in: channel, state) }
            .attach(parcel, on: loop)
            .whenComplete { [self] result in
                switch result {
                case .success: if !bound.value.hasEnded { bound.value.begin() }
                case .failure(let error):
                    log.warning("a connection cannot be served", metadata: ["reason": "\(error)"])
                    bound.value.end(isMoved: false)
                }
            }
    }

    // MARK: Going

    /// `--move-every`: the connection goes to the next of the other workers.
    func moveOn(_ session: Session) {
        guard let path = nextSiblingPath() else { return }
        if let box = detach(session) { sender(to: path).send([box]) }
    }

    /// As `moveOn`, of relays.
    func moveOn(_ numbers: [UInt64]) {
        guard nextSiblingPath() != nil else { return }
        relays.take(numbers) { [self] taken in
            underWay += taken.count
            for relay in taken {
                // Without another by now it comes back at once.
                if let path = nextSiblingPath() ?? siblings.first {
                    sender(to: path).send([relay.box])
                } else {
                    comeBack([relay.box])
                }
            }
        }
    }

    private func nextSiblingPath() -> String? {
        guard case .serving = phase, !siblings.isEmpty else { return nil }
        nextSibling = (nextSibling + 1) % siblings.count
        return siblings[nextSibling]
    }

    /// Hands connections to others, some at a time. Those that cannot be moved now are tried again.
    func handOver() {
        guard case .handingOver(let paths) = phase else { return endIfDone() }
        isAccepting.withLock { $0 = false }
        guard !paths.isEmpty, connectionCount > programs.count else { return endIfDone() }
        guard underWay == 0, !isGathering else { return }
        isGathering = true
        var boxes: [ParcelBox] = []
        for session in Array(sessions.values) where boxes.count < Self.batch {
            if let box = detach(session) { boxes.append(box) }
        }
        relays.take(upTo: Self.batch - boxes.count) { [self] taken in
            underWay += taken.count
            isGathering = false
            handOver(boxes + taken.map(\.box))
        }
    }

    private func handOver(_ boxes: [ParcelBox]) {
        guard case .handingOver(let paths) = phase, !paths.isEmpty else { return comeBack(boxes) }
        guard !boxes.isEmpty else {
            loop.scheduleTask(in: .milliseconds(20)) { self.handOver() }
            return
        }
        var shares = paths.map { _ in [ParcelBox]() }
        for box in boxes {
            nextSibling = (nextSibling + 1) % paths.count
            shares[nextSibling].append(box)
        }
        for (path, boxes) in zip(paths, shares) where !boxes.isEmpty { sender(to: path).send(boxes) }
    }

    /// Those that were taken and are not wanted elsewhere any more.
    private func comeBack(_ boxes: [ParcelBox]) {
        underWay -= boxes.count
        for box in boxes {
            if let parcel = box.take() { serve(parcel) }
        }
        endIfDone()
    }

    func detach(_ session: Session) -> ParcelBox? {
        do {
            var parcel = try session.detach()
            parcel.metadata.stampDetached()
            parcel.metadata.idleFor = session.idleTime(at: MonotonicTime.now)
            underWay += 1
            return ParcelBox(parcel)
        } catch {
            log.debug("a connection cannot be moved now", metadata: ["reason": "\(error)"])
            return nil
        }
    }

    private func sender(to path: String) -> ParcelSender {
        if let sender = senders[path] { return sender }
        let sender = ParcelSender(reconnectingTo: path) { [self] delivery in
            loop.execute { self.delivered(delivery) }
        }
        senders[path] = sender
        return sender
    }

    private func delivered(_ delivery: ParcelSender.Delivery) {
        underWay -= delivery.handedOver + delivery.returned.count + delivery.lost
        report.movesOut += delivery.handedOver
        report.movesFailed += delivery.returned.count + delivery.lost
        report.failures.add(delivery.failuresByLabel)
        if let reason = delivery.reason, delivery.returned.count + delivery.lost > 0 {
            log.notice(
                "connections came back from a move",
                metadata: [
                    "count": "\(delivery.returned.count)", "lost": "\(delivery.lost)", "reason": "\(reason)",
                ])
        }
        for box in delivery.returned {
            if let parcel = box.take() { serve(parcel) }
        }
        reportSoon()
        guard case .handingOver = phase else { return endIfDone() }
        if delivery.handedOver > 0 {
            handOver()
        } else {
            loop.scheduleTask(in: .milliseconds(100)) { self.handOver() }
        }
    }
}
