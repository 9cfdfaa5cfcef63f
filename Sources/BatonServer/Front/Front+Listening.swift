internal import BatonConfiguration
internal import Logging
internal import NIOCore

extension Front {
    /// The sockets of the listeners and of the admin address.
    var sockets: [ListeningSocket] { listening.sockets }

    /// Does all of listening that can fail. Nothing is accepted before `beginListening`.
    func prepareListening() throws(RuntimeError) {
        let intake = Intake(
            group: group, policy: policy, admission: admission, tally: tally, logger: logger,
            place: { [self] in place($0, target: $1, source: $2) })
        try listening.prepare(
            for: Listening.Receivers(
                connection: { intake.take($0, from: $1, at: $2) },
                command: { [self] descriptor in loop.execute { self.commandConnections.take(descriptor) } },
                admin: { [self] descriptor in loop.execute { self.admin.take(descriptor) } }))
    }

    /// Tells what this machine does not give the configuration.
    func tellOfShortfalls() {
        let shortfalls = Capacity.shortfalls(
            of: configuration, descriptors: DescriptorLimit.current, processors: System.coreCount,
            longestQueue: Capacity.longestQueue)
        for line in shortfalls { log.warning("\(line)") }
    }

    /// Accepts.
    func beginListening() {
        listening.open(backlog: configuration.backlog) { deposits.depositAndSettle() }
        serveAdmin()
    }

    /// The sockets of a configuration that was read again take the place of those there are.
    func replaceSockets(_ next: PreparedListening) {
        listening.replace(with: next, backlog: configuration.backlog) {
            deposits.depositAndSettle()
        } adminHasMoved: {
            admin.close()
        }
        serveAdmin()
    }

    private func serveAdmin() {
        if !listening.adminSockets.isEmpty { admin.open() }
    }

    /// Accepts nothing more; the sockets stay open here, in case the successor that accepts at them fails.
    func pauseListening() {
        listening.pause()
        admin.close()
        policy.pauseRotation()
    }

    func stopListening() {
        pauseListening()
        listening.stop()
    }
}
