import HostMigration
import Testing

@Suite("The order of a migration")
struct SocketMigrationTests {
    typealias Action = SocketMigration.Action

    @Test("holds, freezes, offers, verifies, commits, releases, closes")
    func success() {
        var machine = SocketMigration(count: 2)
        #expect(machine.handle(.begin) == [.hold])
        #expect(machine.handle(.held) == [.freeze])
        #expect(machine.handle(.frozen(refused: [:])) == [.offer([0, 1])])
        #expect(machine.handle(.answered(declined: [:])) == [.verify([0, 1])])
        #expect(
            machine.handle(.verified(changed: [])) == [
                .commit([0, 1]), .release(forwarding: [0, 1]), .close([0, 1]), .awaitConfirmation,
            ])
        #expect(machine.handle(.confirmed(lost: [])) == [.finish])
        #expect(machine.outcomes == [0: .moved, 1: .moved])
    }

    @Test("takes back what was declined or changed, and commits the rest")
    func partial() {
        let refusal = MigrationError(.urgentData)
        let decline = MigrationError(.addressNotLocal)
        var machine = SocketMigration(count: 4)
        _ = machine.handle(.begin)
        _ = machine.handle(.held)
        #expect(machine.handle(.frozen(refused: [0: refusal])) == [.offer([1, 2, 3])])
        #expect(machine.handle(.answered(declined: [1: decline])) == [.verify([2, 3])])
        #expect(
            machine.handle(.verified(changed: [2]))
                == [.commit([3]), .takeBack([1, 2]), .release(forwarding: [3]), .close([3]), .awaitConfirmation])
        #expect(machine.handle(.confirmed(lost: [])) == [.finish])
        #expect(
            machine.outcomes == [
                0: .stayed(refusal), 1: .stayed(decline), 2: .stayed(MigrationError(.changedAfterFreezing)), 3: .moved,
            ])
    }

    @Test("is in doubt, and takes nothing back, when the link ends after the commit")
    func doubt() {
        var machine = SocketMigration(count: 1)
        for event in happy.prefix(5) { _ = machine.handle(event) }
        #expect(machine.handle(.failed(MigrationError(.linkEnded))) == [.disown([0]), .finish])
        #expect(machine.outcomes == [0: .inDoubt])
    }

    @Test("a group moves together or not at all: what keeps one member keeps its partners")
    func groups() {
        let refusal = MigrationError(.urgentData)
        let decline = MigrationError(.outOfRoom)
        let partner = SocketMigration.Outcome.stayed(MigrationError(.partnerStayed))
        var machine = SocketMigration(groups: [0, 0, 1, 1, 2, 2, 3, 3])
        _ = machine.handle(.begin)
        _ = machine.handle(.held)
        #expect(machine.handle(.frozen(refused: [0: refusal])) == [.offer([2, 3, 4, 5, 6, 7])])
        #expect(machine.handle(.answered(declined: [3: decline])) == [.verify([4, 5, 6, 7])])
        #expect(
            machine.handle(.verified(changed: [4]))
                == [
                    .commit([6, 7]), .takeBack([1, 2, 3, 4, 5]), .release(forwarding: [6, 7]), .close([6, 7]),
                    .awaitConfirmation,
                ])
        #expect(machine.handle(.confirmed(lost: [])) == [.finish])
        #expect(
            machine.outcomes == [
                0: .stayed(refusal), 1: partner, 2: partner, 3: .stayed(decline),
                4: .stayed(MigrationError(.changedAfterFreezing)), 5: partner, 6: .moved, 7: .moved,
            ])
    }

    @Test("a group of which the other host lost one is in doubt as a whole")
    func lostPartner() {
        var machine = SocketMigration(groups: [7, 7, 9])
        for event in happy.prefix(5) { _ = machine.handle(event) }
        #expect(machine.handle(.confirmed(lost: [1])) == [.finish])
        #expect(machine.outcomes == [0: .inDoubt, 1: .inDoubt, 2: .moved])
    }

    @Test("a batch of which nothing is left to offer is taken back without an offer")
    func nothingLeft() {
        var machine = SocketMigration(groups: [0, 0])
        _ = machine.handle(.begin)
        _ = machine.handle(.held)
        #expect(
            machine.handle(.frozen(refused: [1: MigrationError(.urgentData)]))
                == [.takeBack([0]), .release(forwarding: []), .finish])
        #expect(machine.outcomes[0] == .stayed(MigrationError(.partnerStayed)))
    }

    /// Every sequence of up to six events: those that fit, those that do not, failures at any point.
    @Test("never takes back what was committed, commits once, and lets go of what it holds, whatever happens")
    func everyInterleaving() {
        var explored = 0
        explore(SocketMigration(count: 2), [], depth: 6) { machine, actions in
            explored += 1
            check(machine, actions)
        }
        #expect(explored > 10_000)
    }

    @Test("of a group never one member is committed without the other, whatever happens")
    func everyInterleavingOfGroups() {
        explore(SocketMigration(groups: [0, 0]), [], depth: 6) { machine, actions in
            check(machine, actions)
            for case .commit(let members) in actions where members != [0, 1] { Issue.record("\(actions)") }
        }
    }

    private let happy: [SocketMigration.Event] = [
        .begin, .held, .frozen(refused: [:]), .answered(declined: [:]), .verified(changed: []), .confirmed(lost: []),
    ]

    private func explore(
        _ machine: SocketMigration, _ actions: [Action], depth: Int, _ visit: (SocketMigration, [Action]) -> Void
    ) {
        visit(machine, actions)
        guard depth > 0 else { return }
        let error = MigrationError(.linkEnded)
        let events =
            happy + [
                .frozen(refused: [0: error]), .answered(declined: [1: error]),
                .answered(declined: [0: error, 1: error]),
                .verified(changed: [0]), .failed(error),
            ]
        for event in events {
            var next = machine
            let new = next.handle(event)
            explore(next, actions + new, depth: depth - 1, visit)
        }
    }

    private func check(_ machine: SocketMigration, _ actions: [Action]) {
        var committed: Set<Int> = []
        var commits = 0
        var closes = 0
        var isHolding = false
        for action in actions {
            switch action {
            case .hold: isHolding = true
            case .commit(let members):
                commits += 1
                committed = members
            case .takeBack(let members): if !members.isDisjoint(with: committed) { Issue.record("\(actions)") }
            case .close(let members):
                closes += 1
                if members != committed { Issue.record("\(actions)") }
            case .disown(let members): if closes == 0 || members != committed { Issue.record("\(actions)") }
            case .release(let members):
                isHolding = false
                if members != committed { Issue.record("\(actions)") }
            default: break
            }
        }
        if commits > 1 || closes > commits { Issue.record("\(actions)") }
        if machine.isFinished, closes != commits { Issue.record("\(actions)") }
        if machine.isFinished, isHolding || machine.outcomes.count != 2 { Issue.record("\(actions)") }
        if !machine.isFinished, actions.contains(.finish) { Issue.record("\(actions)") }
    }
}

@Suite("The order of an arrival")
struct SocketArrivalTests {
    @Test("restores, answers, activates, confirms")
    func success() {
        var machine = SocketArrival()
        let error = MigrationError(.addressInUse)
        #expect(machine.handle(.offered(count: 3)) == [.restore])
        #expect(machine.handle(.restored(declined: [0: error])) == [.answer(declined: [0: error])])
        #expect(machine.handle(.commit([1])) == [.activate([1]), .discard([2])])
        #expect(machine.handle(.activated(lost: [])) == [.confirm(lost: []), .finish])
        #expect(machine.failure == nil)
    }

    @Test("discards everything on cancel, on the end of the link, and on a commit of what it did not accept")
    func discards() {
        for event in [SocketArrival.Event.cancel, .failed(MigrationError(.linkEnded)), .commit([0, 7]), .commit([])] {
            var machine = SocketArrival()
            _ = machine.handle(.offered(count: 2))
            _ = machine.handle(.restored(declined: [:]))
            // Unless the other host says that it takes all back, it may have sent a commit.
            let isCancelled = if case .cancel = event { true } else { false }
            #expect(machine.handle(event) == [isCancelled ? .discard([0, 1]) : .disown([0, 1]), .finish])
            #expect(machine.failure != nil)
        }
    }

    @Test("owns what was committed even if the link ends then")
    func committed() {
        var machine = SocketArrival()
        _ = machine.handle(.offered(count: 1))
        _ = machine.handle(.restored(declined: [:]))
        #expect(machine.handle(.commit([0])) == [.activate([0])])
        #expect(machine.handle(.failed(MigrationError(.linkEnded))) == [])
        #expect(machine.handle(.activated(lost: [])) == [.confirm(lost: []), .finish])
    }
}
