internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore

/// Connections for programs of somebody else's (`worker:/PATH`), whose first request line was read here.
extension Worker {
    /// Hands a connection to the program that its target names. It finds the bytes read as they are.
    func handOut(_ parcel: consuming Parcel) {
        parcel.applicationState = SessionState(parcel.applicationState)?.received ?? []
        parcel.metadata.stampDetached()
        // A program's library does not know the server's word for it.
        parcel.metadata.noteSuspension()
        programs.place(parcel)
    }

    func makeProgramPlacer() -> Placer {
        Placer(
            .newcomers,
            .init(
                choose: { order in
                    if case .worker(let path)? = order.target { .only(path) } else { .inTurn([]) }
                },
                delivered: { [unowned self] delivery in
                    report.movesOut += delivery.handedOver
                    report.movesFailed += delivery.returned.count + delivery.lost
                    report.failures.add(delivery.failuresByLabel)
                    reportSoon()
                    endIfDone()
                },
                waits: { [unowned self] order, reason in
                    log.debug(
                        "a connection waits for a program",
                        metadata: ["path": "\(order.avoided ?? "")", "reason": "\(reason)"])
                },
                abandoned: { [unowned self] order, note, reason in
                    if let note {
                        report.ends.count(AccessRecord.End.notServed.rawValue)
                        AccessLog.process.write(AccessRecord(note, .notServed, detail: reason))
                    }
                    log.error(
                        "a connection is closed, because nobody takes it",
                        metadata: ["target": "\(order.target.map { "\($0)" } ?? "")", "reason": "\(reason)"])
                    reportSoon()
                    endIfDone()
                },
                run: { [loop] in loop.run(after: $0, $1) }))
    }
}
