import Testing

@testable import BatonServer

/// Explores every order of events in an upgrade, and looks at each state.
@Suite("An upgrade, step by step")
struct SuccessionTests {
    /// The two servers and those who ask, as the actions leave them.
    private struct World: Hashable {
        var oldAccepts = true
        /// Told to, and not known to be dead.
        var newMayAccept = false
        var newIsDead = false
        var isStopped = false
        var handsOver = false
        var hasLeft = false
        var reports = 0

        mutating func perform(_ action: Succession.Action) {
            switch action {
            case .stopAccepting: oldAccepts = false
            case .tellToAccept:
                #expect(!oldAccepts && !newIsDead && !isStopped, "two accept")
                newMayAccept = true
            case .handOver:
                #expect(newMayAccept, "connections move to a server that does not accept")
                handsOver = true
            case .kill: break
            case .acceptAgain:
                #expect(newIsDead && !isStopped && !handsOver && !oldAccepts)
                oldAccepts = true
            case .takeBack:
                #expect(newIsDead && !isStopped && handsOver && !oldAccepts)
                oldAccepts = true
                handsOver = false
            case .reportFailure:
                #expect(oldAccepts && !hasLeft, "a failure that leaves nobody")
                reports += 1
            case .reportStop:
                #expect(isStopped)
                reports += 1
            case .reportSuccess:
                #expect(newMayAccept && !newIsDead)
                reports += 1
            case .leave:
                #expect(newMayAccept && !newIsDead && handsOver, "nobody is left")
                hasLeft = true
            case .tellToStop: #expect(isStopped)
            }
        }

        mutating func happens(_ event: Succession.Event) {
            if case .died = event { (newIsDead, newMayAccept) = (true, false) }
            if event == .stop { isStopped = true }
        }
    }

    private static let events: [Succession.Event] =
        [
            .ready(announces: true), .ready(announces: false), .paused, .accepting, .refused("why"), .died("signal 9"),
            .stuck, .settled, .stop,
        ] + Succession.Step.allCases.map { .late($0) }

    private func explore(
        _ succession: Succession, _ world: World, depth: Int, _ visit: (Succession, World) -> Void
    ) {
        visit(succession, world)
        guard depth > 0, succession.step != .over else { return }
        for event in Self.events {
            // Whoever is dead says nothing, and what was not begun does not end.
            if world.newIsDead { continue }
            if event == .paused, world.oldAccepts { continue }
            var (next, after) = (succession, world)
            after.happens(event)
            for action in next.handle(event) { after.perform(action) }
            if next.step == succession.step, after == world { continue }
            explore(next, after, depth: depth - 1, visit)
        }
    }

    @Test("in every order of events one server is left, one report is made, and a stop stops both")
    func everyOrder() {
        var ends = 0
        explore(Succession(), World(), depth: 9) { succession, world in
            if succession.step == .over {
                ends += 1
                #expect(world.reports == 1)
                #expect(world.isStopped || world.oldAccepts != world.newMayAccept, "one server, and only one")
            } else {
                #expect(world.reports == (succession.step == .lingering ? 1 : 0))
                #expect(!world.isStopped)
            }
        }
        #expect(ends > 20)
    }

    @Test("whatever happened, the death of the new server, a stop or the end of the connections ends the upgrade")
    func everyStateEnds() {
        explore(Succession(), World(), depth: 9) { succession, _ in
            for last in [Succession.Event.died("signal 9"), .stop] {
                var ending = succession
                _ = ending.handle(last)
                #expect(ending.step == .over)
            }
            guard let limit = Succession.limit(of: succession.step) else { return }
            #expect(limit <= 30)
            var late = succession
            _ = late.handle(.late(succession.step))
            #expect(late.step == .failing)
        }
    }

    @Test("nothing that comes after the end does anything")
    func afterTheEnd() {
        for last in [Succession.Event.died("signal 9"), .stop] {
            var succession = Succession()
            _ = succession.handle(.ready(announces: true))
            _ = succession.handle(.paused)
            #expect(!succession.handle(last).isEmpty)
            for event in Self.events { #expect(succession.handle(event).isEmpty) }
        }
    }
}
