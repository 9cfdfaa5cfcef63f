internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore
internal import SessionEngine
internal import TLSRecords

/// Connections that others hand to this worker.
extension Worker {
    func verdict(on parcel: borrowing Parcel) -> Verdict {
        guard isAccepting.isSet else { return .decline(.leaving) }
        guard isTurning else { return .decline(.unresponsive) }
        guard !parcel.sockets.isEmpty, parcel.sockets.count <= 2 else { return .decline(.unsupportedParcel) }
        guard parcel.metadata.target != nil || parcel.metadata.isUndecided,
            let state = SessionState(parcel.applicationState),
            (state.upstream != nil) == (parcel.sockets.count == 2),
            state.upstream != nil || parcel.secondSnapshot == nil,
            state.scanner.isAtStart || parcel.metadata.target == .hello
        else { return .decline(.unsupportedParcel) }
        return .accept
    }

    func receive(_ boxes: [ParcelBox]) {
        for box in boxes {
            guard var parcel = box.take() else { continue }
            if let placement = parcel.metadata.takePlacement() { placed.append(placement) }
            let pause = parcel.metadata.takePause()
            if !parcel.metadata.takeFirstWorker() {
                report.movesIn += 1
                parcel.metadata.moves &+= 1
                if let pause {
                    note(pause: pause)
                    if AccessLog.process.isOn { parcel.metadata.standstill.add(pause) }
                }
            }
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
        case .echo, .hello: return relays.begin(parcel, state)
        case .worker: return handOut(parcel)
        case .upstream(let name) where parcel.metadata.isCancelRequest:
            session = CancelSession(self, upstream: name, parcel.metadata)
        case .upstream(let name): session = OpeningSession(self, upstream: name, parcel.metadata)
        }
        session.info = parcel.info
        remember(session)
        let bound = NIOLoopBound(session, eventLoop: loop)
        bootstrap { channel in try bound.value.install(in: channel, state) }
            .attach(parcel, on: loop)
            .whenComplete { [self] result in
                switch result {
                case .success: if !bound.value.hasEnded { bound.value.begin() }
                case .failure(let error):
                    log.warning("a connection cannot be served", metadata: ["reason": "\(error)"])
                    bound.value.blame(.notServed, "\(error)")
                    bound.value.end(isMoved: false)
                }
            }
    }
}
