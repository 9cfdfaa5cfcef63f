/// The order in which a batch of connections leaves a host, as a state machine. It does no I/O and reads no clock: it
/// takes events and returns the actions to perform, in order.
///
/// ```
/// idle ─begin─▶ holding ─held─▶ freezing ─frozen─▶ offered ─answered─▶ verifying ─verified─▶ committed ─confirmed─▶ finished
///                  │               │                  │                   │                      │
///                  └───────────────┴──── failed ──────┴───────────────────┘                      └─ failed: in doubt
///                             takes everything back
/// ```
///
/// The rule it serves: a connection is taken back only if its commit has not been sent, and the action that sends it
/// comes after the machine has passed that point. If the link fails later the connection is in doubt. Its packets are
/// steered to the new host by then, whose answer is the truth: alive if the commit arrived, else reset by its kernel.
public struct SocketMigration: Sendable {
    /// Position of a connection in the batch.
    public typealias Member = Int

    /// What became of a connection.
    public enum Outcome: Sendable, Equatable {
        /// The other host owns it and has said so.
        case moved
        /// It goes on here.
        case stayed(MigrationError)
        /// The commit was sent and nothing heard of since. It is closed here, and the other host decides.
        case inDoubt
    }

    /// What happened.
    public enum Event: Sendable {
        /// The batch is to move.
        case begin
        /// The packets of all members are being held.
        case held
        /// Every member was frozen or refused. A refused one is out of repair.
        case frozen(refused: [Member: MigrationError])
        /// The other host holds every member that it did not decline, silent.
        case answered(declined: [Member: MigrationError])
        /// Every accepted member was compared with what was frozen.
        case verified(changed: Set<Member>)
        /// The other host owns every committed member but those.
        case confirmed(lost: Set<Member>)
        /// An action failed, the link ended, the time is up.
        case failed(MigrationError)
    }

    /// What to do. If an action fails, report `failed` and drop the rest of the list, except for `release`,
    /// `takeBack` and `close`, which are performed whatever happens.
    public enum Action: Sendable, Equatable {
        /// Hold the packets of all members.
        case hold
        /// Freeze all members.
        case freeze
        /// Send the offer of these.
        case offer(Set<Member>)
        /// Compare these with what was frozen.
        case verify(Set<Member>)
        /// Tell the other host to discard what it holds.
        case cancel
        /// Tell the other host that these are its own and the rest is not.
        case commit(Set<Member>)
        /// Leave repair here.
        case takeBack(Set<Member>)
        /// Steer these to the other host, and let go of everything that was held.
        case release(forwarding: Set<Member>)
        /// Close these silently.
        case close(Set<Member>)
        /// Report the outcomes.
        case finish
    }

    private enum Phase: Equatable {
        case idle
        case holding
        case freezing
        case offered(Set<Member>)
        case verifying(frozen: Set<Member>, accepted: Set<Member>)
        case committed(Set<Member>)
        case finished
    }

    private let members: Set<Member>
    private var phase = Phase.idle

    /// What is known of each member so far; complete when the machine has finished.
    public private(set) var outcomes: [Member: Outcome] = [:]

    /// Whether `finish` has been returned.
    public var isFinished: Bool { phase == .finished }

    /// A batch of `count` connections.
    public init(count: Int) {
        members = Set(0..<max(count, 0))
    }

    /// Takes an event. One that does not fit the phase is ignored: it comes from a peer or a timer that is late.
    public mutating func handle(_ event: Event) -> [Action] {
        switch (phase, event) {
        case (.idle, .begin):
            phase = .holding
            return [.hold]
        case (.holding, .held):
            phase = .freezing
            return [.freeze]
        case (.freezing, .frozen(let refused)):
            keep(refused)
            let frozen = members.subtracting(refused.keys)
            guard !frozen.isEmpty else { return finish([.release(forwarding: [])]) }
            phase = .offered(frozen)
            return [.offer(frozen)]
        case (.offered(let frozen), .answered(let declined)):
            let declined = declined.filter { frozen.contains($0.key) }
            keep(declined)
            phase = .verifying(frozen: frozen, accepted: frozen.subtracting(declined.keys))
            return [.verify(frozen.subtracting(declined.keys))]
        case (.verifying(let frozen, let accepted), .verified(let changed)):
            for member in changed.intersection(accepted) {
                outcomes[member] = .stayed(MigrationError(.changedAfterFreezing))
            }
            return commit(accepted.subtracting(changed), frozen: frozen)
        case (.committed(let committed), .confirmed(let lost)):
            for member in committed { outcomes[member] = lost.contains(member) ? .inDoubt : .moved }
            return finish([])
        case (.committed(let committed), .failed):
            for member in committed { outcomes[member] = .inDoubt }
            return finish([])
        case (.holding, .failed(let error)):
            keepRest(error)
            return finish([.release(forwarding: [])])
        case (.freezing, .failed(let error)):
            keepRest(error)
            return finish([.takeBack(members), .release(forwarding: [])])
        case (.offered(let frozen), .failed(let error)), (.verifying(let frozen, _), .failed(let error)):
            keepRest(error)
            return finish([.takeBack(frozen), .release(forwarding: []), .cancel])
        default:
            return []
        }
    }

    private mutating func commit(_ chosen: Set<Member>, frozen: Set<Member>) -> [Action] {
        guard !chosen.isEmpty else { return finish([.takeBack(frozen), .release(forwarding: []), .cancel]) }
        phase = .committed(chosen)
        let kept = frozen.subtracting(chosen)
        let takeBack: [Action] = kept.isEmpty ? [] : [.takeBack(kept)]
        return [.commit(chosen)] + takeBack + [.release(forwarding: chosen), .close(chosen)]
    }

    private mutating func finish(_ actions: [Action]) -> [Action] {
        phase = .finished
        return actions + [.finish]
    }

    private mutating func keep(_ errors: [Member: MigrationError]) {
        for (member, error) in errors { outcomes[member] = .stayed(error) }
    }

    private mutating func keepRest(_ error: MigrationError) {
        for member in members where outcomes[member] == nil { outcomes[member] = .stayed(error) }
    }
}
