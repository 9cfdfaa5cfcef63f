internal import BatonConfiguration
internal import NIOCore
internal import Synchronization

extension Front {
    /// `baton drain`.
    func drain(to peer: String, isDryRun: Bool, asked: JSONLink<ControlResponse>) {
        guard life.canDrain else {
            return asked.finish(
                .failed("the server is being drained, replaced or stopped already; look at baton status"))
        }
        guard migration.areReady else {
            return asked.finish(
                .failed(
                    configuration.migration.isConfigured
                        ? "the migration process is starting; try again in a moment"
                        : "the configuration has no migration settings; see docs/host-migration.md"))
        }
        guard configuration.peers[peer] != nil else {
            let names = configuration.peers.keys.sorted().joined(separator: ", ")
            return asked.finish(.failed("there is no peers.\(peer) in the configuration; there are: \(names)"))
        }
        let drain = Drain(surroundings, to: peer, isDryRun: isDryRun, asked: asked)
        self.drain = drain
        handle(.drainBegan)
        drain.start()
    }

    private var surroundings: Drain.Surroundings {
        Drain.Surroundings(
            loop: loop, log: log,
            workers: { [unowned self] in workers.filter { $0.state == .ready } },
            hasNewcomers: { [unowned self] in admission.present > 0 || placer.isAwaiting },
            ports: { [unowned self] in listening.ports },
            socket: { [unowned self] in migration.socket },
            order: { [unowned self] in migration.send($0) },
            connectionCount: { [unowned self] in connectionCount },
            ended: { [unowned self] in
                drain = nil
                handle(.drainEnded)
            })
    }

    /// Whoever asked for the drain wants it to stop, or is gone.
    func stopDrain(askedBy id: ObjectIdentifier) {
        if let drain, ObjectIdentifier(drain.asked.channel) == id { drain.stop() }
    }
}
