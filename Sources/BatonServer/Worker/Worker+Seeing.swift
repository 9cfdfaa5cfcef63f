internal import BatonConfiguration
internal import BatonCore
internal import Handoff
internal import Logging
internal import NIOCore
internal import SessionEngine

/// What a worker tells of its connections: lines of the access log, and counts.
extension Worker {
    /// A session that NIO serves has ended here, and is nowhere else.
    func noteEnd(of session: Session) {
        forgetWaiting(session)
        guard let record = session.takeRecord() else { return }
        report.ends.count(record.end.rawValue)
        AccessLog.process.write(record)
        reportSoon()
    }

    /// The front is to know what the access log would say if this process died. An end is told by whoever sees it.
    func tellWaiting(_ session: Session) {
        guard AccessLog.process.isOn else { return }
        session.isKeptByFront = true
        waiting.add(session.id, session.record(.workerDied))
    }

    /// The session is not only here any more, or nowhere.
    func forgetWaiting(_ session: Session) {
        guard session.isKeptByFront else { return }
        session.isKeptByFront = false
        waiting.remove(session.id)
    }

    /// A relay has ended by its upstream's doing.
    func noteUpstreamFault(_ outcome: SessionOutcome, _ upstream: String) {
        switch outcome {
        case .reset(.upstream): report.upstreamErrors[upstream, default: [:]].count(UpstreamFault.reset.rawValue)
        case .protocolError(.upstream, _):
            report.upstreamErrors[upstream, default: [:]].count(UpstreamFault.tls.rawValue)
        case .reset, .protocolError, .inOrder, .idle, .closed: break
        }
    }

    /// An upstream cannot be reached.
    func noteUpstreamFault(_ error: any Error, _ upstream: String) {
        report.upstreamErrors[upstream, default: [:]].count(UpstreamFault(error).rawValue)
        reportSoon()
    }

    /// An upstream has been connected and is ready, after so many nanoseconds.
    func noteConnected(_ upstream: String, after time: UInt64) {
        report.connectTimes[upstream, default: PauseHistogram()].record(nanoseconds: time)
        reportSoon()
    }

    // MARK: The census

    /// Counts what is here and what has passed once a second, while there is somebody to be told.
    func scheduleCensus() {
        censusCount = 0
        census?.cancel()
        census = nil
        guard configuration.admin != nil else { return }
        census = loop.scheduleRepeatedTask(initialDelay: .zero, delay: WorkerTimes.census.timeAmount) { [self] _ in
            takeCensus()
        }
    }

    private func takeCensus() {
        var (listeners, routes) = relays.census
        for session in sessions.values {
            if let listener = session.arrived.listener { listeners.count(listener) }
            if let route = session.arrived.route { routes.count(route) }
        }
        // Of twenty thousand that takes milliseconds.
        let descriptors = censusCount % 10 == 0 ? DescriptorLimit.open : report.openDescriptors
        censusCount &+= 1
        let hasChanged =
            listeners != report.listenerConnections || routes != report.routeConnections
            || descriptors != report.openDescriptors || AccessLog.process.droppedLines != report.droppedAccessLines
            || ServeLog.droppedLines != report.droppedLogLines
        (report.listenerConnections, report.routeConnections) = (listeners, routes)
        (report.openDescriptors, report.maxDescriptors) = (descriptors, Int(clamping: DescriptorLimit.current))
        relays.countTraffic()
        if hasChanged { reportSoon() }
    }
}
