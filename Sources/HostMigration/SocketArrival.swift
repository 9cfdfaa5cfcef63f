/// The order in which a batch of connections arrives at a host: the counterpart of `SocketMigration`. It does no I/O
/// and reads no clock.
///
/// After it has answered it has no time limit of its own, for a late commit would find nobody: it waits for the
/// commit, the cancellation or the end of the link.
package struct SocketArrival: Sendable {
    /// Position of a connection in the batch.
    package typealias Member = Int

    /// What happened.
    package enum Event: Sendable {
        /// An offer of so many connections has arrived.
        case offered(count: Int)
        /// Every one was restored, or declined with a reason.
        case restored(declined: [Member: MigrationError])
        /// These are ours, the rest is not.
        case commit(Set<Member>)
        /// Every committed one has left repair but those, which were reset.
        case activated(lost: Set<Member>)
        /// The other host takes everything back.
        case cancel
        /// The link ended, or carried nonsense.
        case failed(MigrationError)
    }

    /// What to do, in order.
    package enum Action: Sendable, Equatable {
        /// Restore all members, silent.
        case restore
        /// Send the answer.
        case answer(declined: [Member: MigrationError])
        /// Leave repair: these are ours now.
        case activate(Set<Member>)
        /// Drop these without a trace: the other host has them.
        case discard(Set<Member>)
        /// Drop these, and make their peers say something: nobody may have them, if a commit was lost.
        case disown(Set<Member>)
        /// Send the confirmation.
        case confirm(lost: Set<Member>)
        /// Nothing of this batch remains to be done.
        case finish
    }

    private enum Phase: Equatable {
        case idle
        case restoring(count: Int)
        case waiting(Set<Member>)
        case activating
        case finished
    }

    private var phase = Phase.idle

    /// Why nothing arrived; nil if the batch was committed or is under way.
    package private(set) var failure: MigrationError?

    /// Whether `finish` has been returned.
    package var isFinished: Bool { phase == .finished }

    /// Waits for an offer.
    package init() {}

    /// Takes an event. One that does not fit the phase ends the batch: the other host broke the protocol.
    package mutating func handle(_ event: Event) -> [Action] {
        switch (phase, event) {
        case (.idle, .offered(let count)) where count > 0:
            phase = .restoring(count: count)
            return [.restore]
        case (.restoring(let count), .restored(let declined)):
            phase = .waiting(Set(0..<count).subtracting(declined.keys))
            return [.answer(declined: declined)]
        case (.waiting(let accepted), .commit(let chosen)) where !chosen.isEmpty && chosen.isSubset(of: accepted):
            phase = .activating
            let rest = accepted.subtracting(chosen)
            return rest.isEmpty ? [.activate(chosen)] : [.activate(chosen), .discard(rest)]
        case (.activating, .activated(let lost)):
            phase = .finished
            return [.confirm(lost: lost), .finish]
        case (.waiting(let accepted), .cancel):
            return end(MigrationError(.declined, "cancelled"), accepted.isEmpty ? [] : [.discard(accepted)])
        case (.waiting(let accepted), .failed(let error)):
            return end(error, accepted.isEmpty ? [] : [.disown(accepted)])
        case (.waiting(let accepted), _):
            return end(MigrationError(.protocolViolation), accepted.isEmpty ? [] : [.disown(accepted)])
        case (.activating, _), (.finished, _):
            // The commit has come: what the link does now changes nothing.
            return []
        case (_, .failed(let error)):
            return end(error, [])
        default:
            return end(MigrationError(.protocolViolation), [])
        }
    }

    private mutating func end(_ error: MigrationError, _ actions: [Action]) -> [Action] {
        phase = .finished
        failure = error
        return actions + [.finish]
    }
}
