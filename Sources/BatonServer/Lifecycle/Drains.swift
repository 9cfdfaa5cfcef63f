internal import BatonConfiguration
internal import NIOCore

/// Follows `baton drain`: one drain at a time. Used on the front's loop only.
final class Drains: @unchecked Sendable {
    private let settings: Settings
    private let migration: MigrationProcesses
    private let surroundings: Drain.Surroundings
    private let life: Life
    private var present: Drain?

    /// - Parameter surroundings: what a drain is of.
    init(_ settings: Settings, _ migration: MigrationProcesses, _ surroundings: Drain.Surroundings, _ life: Life) {
        self.settings = settings
        self.migration = migration
        self.surroundings = surroundings
        self.life = life
    }

    func begin(to peer: String, isDryRun: Bool, asked: JSONLink<ControlResponse>) {
        guard life.canDrain else {
            return asked.finish(
                .failed("the server is being drained, replaced or stopped already; look at baton status"))
        }
        guard migration.areReady else {
            return asked.finish(
                .failed(
                    settings.configuration.migration.isConfigured
                        ? "the migration process is starting; try again in a moment"
                        : "the configuration has no migration settings; see docs/host-migration.md"))
        }
        let peers = settings.configuration.peers
        guard peers[peer] != nil else {
            let names = peers.keys.sorted().joined(separator: ", ")
            return asked.finish(.failed("there is no peers.\(peer) in the configuration; there are: \(names)"))
        }
        let drain = Drain(surroundings, to: peer, isDryRun: isDryRun, asked: asked) { [self] in
            present = nil
            life.handle(.drainEnded)
        }
        present = drain
        life.handle(.drainBegan)
        drain.start()
    }

    /// It ends after what is under way.
    func stop() { present?.stop() }

    /// Whoever asked for the drain wants it to stop, or is gone.
    func stop(askedBy id: ObjectIdentifier) {
        if let present, ObjectIdentifier(present.asked.channel) == id { present.stop() }
    }

    // MARK: What others say

    func received(_ event: MigrationEvent) { present?.received(event) }

    func migrated(_ worker: WorkerHandle, sweep: UInt64, handedOver: Int, returned: Int, left: Int) {
        present?.migrated(worker, sweep: sweep, handedOver: handedOver, returned: returned, left: left)
    }

    func workerEnded(_ worker: WorkerHandle) { present?.workerEnded(worker) }

    func migrationEnded(_ ending: String) { present?.migrationEnded(ending) }
}
