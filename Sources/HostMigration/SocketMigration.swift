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
/// steered to the new host by then, whose answer is the truth: alive if the commit arrived, else reset by its kernel. So that
/// a peer that waits in silence hears it, too, it is made to send a packet.
///
/// Members can form groups, as the two connections of a proxied session do: they move together or not at all. One that
/// cannot move keeps its partners here.
public struct SocketMigration: Sendable {
    /// Position of a connection in the batch.
    package typealias Member = Int

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
    package enum Event: Sendable {
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
        /// The other host owns every committed member but those. A group that lost one is lost as a whole.
        case confirmed(lost: Set<Member>)
        /// An action failed, the link ended, the time is up.
        case failed(MigrationError)
    }

    /// What to do. If an action fails, report `failed` and drop the rest of the list, except for `release`,
    /// `takeBack`, `close` and `disown`, which are performed whatever happens.
    package enum Action: Sendable, Equatable {
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
        /// Wait for the confirmation of the commit.
        case awaitConfirmation
        /// Close these silently.
        case close(Set<Member>)
        /// Make the peers of these, which are closed, say something: it goes to the other host.
        case disown(Set<Member>)
        /// Report the outcomes.
        case finish
    }

    private enum Phase: Equatable {
        case idle
        case holding
        case freezing
        case offered(frozen: Set<Member>, Set<Member>)
        case verifying(frozen: Set<Member>, accepted: Set<Member>)
        case committed(Set<Member>)
        case finished
    }

    private let members: Set<Member>
    /// The group of each member.
    private let groups: [Int]
    private var phase = Phase.idle

    /// What is known of each member so far; complete when the machine has finished.
    package private(set) var outcomes: [Member: Outcome] = [:]

    /// Whether `finish` has been returned.
    package var isFinished: Bool { phase == .finished }

    /// A batch of `count` connections, each by itself.
    package init(count: Int) {
        self.init(groups: Array(0..<max(count, 0)))
    }

    /// A batch of connections, one for each element. Those whose elements are equal are a group.
    package init(groups: [Int]) {
        members = Set(groups.indices)
        self.groups = groups
    }

    /// Takes an event. One that does not fit the phase is ignored: it comes from a peer or a timer that is late.
    package mutating func handle(_ event: Event) -> [Action] {
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
            let offered = keepPartners(among: frozen)
            guard !offered.isEmpty else { return finish(takingBack(frozen) + [.release(forwarding: [])]) }
            phase = .offered(frozen: frozen, offered)
            return [.offer(offered)]
        case (.offered(let frozen, let offered), .answered(let declined)):
            keep(declined.filter { offered.contains($0.key) })
            let accepted = keepPartners(among: offered.subtracting(declined.keys))
            phase = .verifying(frozen: frozen, accepted: accepted)
            return [.verify(accepted)]
        case (.verifying(let frozen, let accepted), .verified(let changed)):
            for member in changed.intersection(accepted) {
                outcomes[member] = .stayed(MigrationError(.changedAfterFreezing))
            }
            return commit(keepPartners(among: accepted.subtracting(changed)), frozen: frozen)
        case (.committed(let committed), .confirmed(let lost)):
            let lostGroups = Set(lost.intersection(committed).map { groups[$0] })
            for member in committed { outcomes[member] = lostGroups.contains(groups[member]) ? .inDoubt : .moved }
            return finish([])
        case (.committed(let committed), .failed):
            for member in committed { outcomes[member] = .inDoubt }
            return finish([.disown(committed)])
        case (.holding, .failed(let error)):
            keepRest(error)
            return finish([.release(forwarding: [])])
        case (.freezing, .failed(let error)):
            keepRest(error)
            return finish([.takeBack(members), .release(forwarding: [])])
        case (.offered(let frozen, _), .failed(let error)), (.verifying(let frozen, _), .failed(let error)):
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
        return [.commit(chosen)] + takingBack(kept) + [
            .release(forwarding: chosen), .close(chosen), .awaitConfirmation,
        ]
    }

    private mutating func finish(_ actions: [Action]) -> [Action] {
        phase = .finished
        return actions + [.finish]
    }

    private func takingBack(_ members: Set<Member>) -> [Action] { members.isEmpty ? [] : [.takeBack(members)] }

    /// The members of `candidates` whose groups are whole in it. The other ones stay, with their partners.
    private mutating func keepPartners(among candidates: Set<Member>) -> Set<Member> {
        let broken = Set(members.subtracting(candidates).map { groups[$0] })
        let kept = candidates.filter { broken.contains(groups[$0]) }
        for member in kept { outcomes[member] = .stayed(MigrationError(.partnerStayed)) }
        return candidates.subtracting(kept)
    }

    private mutating func keep(_ errors: [Member: MigrationError]) {
        for (member, error) in errors { outcomes[member] = .stayed(error) }
    }

    private mutating func keepRest(_ error: MigrationError) {
        for member in members where outcomes[member] == nil { outcomes[member] = .stayed(error) }
    }
}
