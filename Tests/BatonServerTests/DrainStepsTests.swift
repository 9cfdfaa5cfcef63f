import Testing

@testable import BatonServer

@Suite("A drain of a host, step by step")
struct DrainStepsTests {
    private typealias Event = DrainSteps.Event
    private typealias Step = DrainSteps.Step

    private static func tally(handled: Int = 0, moved: Int = 0, linkFailure: String? = nil) -> DrainTally {
        var tally = DrainTally()
        (tally.handled, tally.moved, tally.linkFailure) = (handled, moved, linkFailure)
        return tally
    }

    /// What leads to a step, with no worker to ask.
    private static func way(to step: Step) -> [Event] {
        switch step {
        case .beginning: []
        case .moving: [.begun]
        case .steering: way(to: .moving) + [.workers([], sweep: 1)]
        case .following: way(to: .steering) + [.steered(failure: nil)]
        case .movingAddresses: way(to: .following) + [.workers([], sweep: 2), .looked(hasNewcomers: false)]
        case .finishing: way(to: .movingAddresses) + [.addressesMoved(["a"], failure: nil)]
        case .ending: way(to: .finishing) + [.workers([], sweep: 3)]
        case .over: way(to: .ending) + [.ended(DrainTally())]
        }
    }

    /// Much time passes between any two events.
    private static func steps(at step: Step) -> DrainSteps {
        var steps = DrainSteps(isDryRun: false)
        var now: UInt64 = 0
        for event in way(to: step) {
            now += DrainSteps.quiet
            _ = steps.handle(event, at: now)
        }
        return steps
    }

    /// Where each event leads, from each step in the order of `Step.allCases`.
    private static let table: [(name: String, event: Event, steps: [Step])] = [
        ("begun", .begun, [.moving, .moving, .steering, .following, .movingAddresses, .finishing, .ending, .over]),
        ("refused", .refused("why"), [.over, .over, .over, .over, .over, .over, .over, .over]),
        // Nothing is left to ask for in the sweep that has not begun.
        (
            "tally", .tally(DrainTally()),
            [.beginning, .steering, .steering, .following, .movingAddresses, .ending, .ending, .over]
        ),
        (
            "steered", .steered(failure: nil),
            [.beginning, .moving, .following, .following, .movingAddresses, .finishing, .ending, .over]
        ),
        (
            "not steered", .steered(failure: "why"),
            [.beginning, .moving, .ending, .following, .movingAddresses, .finishing, .ending, .over]
        ),
        (
            "addresses", .addressesMoved(["b"], failure: nil),
            [.beginning, .moving, .steering, .following, .finishing, .finishing, .ending, .over]
        ),
        (
            "no addresses", .addressesMoved([], failure: "why"),
            [.beginning, .moving, .steering, .following, .ending, .finishing, .ending, .over]
        ),
        ("ended", .ended(DrainTally()), [.over, .over, .over, .over, .over, .over, .over, .over]),
        ("process ended", .processEnded("why"), [.over, .over, .over, .over, .over, .over, .over, .over]),
        (
            "workers", .workers([(1, 5)], sweep: 9),
            [.beginning, .moving, .steering, .following, .movingAddresses, .finishing, .ending, .over]
        ),
        (
            "given by nobody", .given(worker: 1, sweep: 9, handedOver: 1, returned: 0, left: 0),
            [.beginning, .moving, .steering, .following, .movingAddresses, .finishing, .ending, .over]
        ),
        (
            "a worker ended", .workerEnded(1),
            [.beginning, .moving, .steering, .following, .movingAddresses, .finishing, .ending, .over]
        ),
        (
            "asked of a sweep before", .askAgain(worker: 1, sweep: 9),
            [.beginning, .moving, .steering, .following, .movingAddresses, .finishing, .ending, .over]
        ),
        (
            "looked unasked", .looked(hasNewcomers: true),
            [.beginning, .moving, .steering, .following, .movingAddresses, .finishing, .ending, .over]
        ),
        (
            "swept unasked", .sweepAgain,
            [.beginning, .moving, .steering, .following, .movingAddresses, .finishing, .ending, .over]
        ),
        (
            "stop", .stop, [.beginning, .moving, .steering, .following, .movingAddresses, .finishing, .ending, .over]
        ),
    ]

    @Test("every event at every step leads where the table says", arguments: DrainSteps.Step.allCases)
    func everywhere(step: DrainSteps.Step) {
        for (name, event, expected) in Self.table {
            var steps = Self.steps(at: step)
            #expect(steps.step == step)
            let actions = steps.handle(event, at: 1 << 40)
            #expect(steps.step == expected[Step.allCases.firstIndex(of: step)!], "\(name)")
            // The peer is told to end once, and whoever asked is answered once.
            #expect(actions.contains(.end) == (steps.step == .ending && step != .ending), "\(name)")
            let isAnswered = actions.contains { if case .refuse = $0 { true } else { $0 == .report } }
            #expect(isAnswered == (steps.step == .over && step != .over), "\(name)")
        }
    }

    @Test("a worker is asked until it has no more, and the next one when the fate of what it gave is known")
    func asking() {
        var steps = DrainSteps(isDryRun: false)
        #expect(steps.handle(.begun, at: 0) == [.listWorkers])
        #expect(
            steps.handle(.workers([(1, 9), (2, 3)], sweep: 7), at: 0)
                == [.tellSweep, .tellProgress, .ask(worker: 1, sweep: 7)])
        #expect(steps.remaining == 12)
        #expect(
            steps.handle(.given(worker: 1, sweep: 7, handedOver: 8, returned: 0, left: 1), at: 0) == [.tellProgress])
        #expect(steps.handle(.tally(Self.tally(handled: 7, moved: 7)), at: 0) == [.tellProgress])
        #expect(
            steps.handle(.tally(Self.tally(handled: 8, moved: 8)), at: 0)
                == [.tellProgress, .ask(worker: 1, sweep: 7)])
        // An answer to another question counts for nothing.
        #expect(steps.handle(.given(worker: 2, sweep: 7, handedOver: 1, returned: 0, left: 0), at: 0) == [])
        #expect(steps.handle(.given(worker: 1, sweep: 6, handedOver: 1, returned: 0, left: 0), at: 0) == [])
        #expect(
            steps.handle(.given(worker: 1, sweep: 7, handedOver: 0, returned: 0, left: 0), at: 0)
                == [.tellProgress, .ask(worker: 2, sweep: 7)])
        #expect(steps.handle(.workerEnded(2), at: 0) == [.tellProgress, .steerNewcomers])
    }

    @Test("connections that cannot be taken out are asked for again for a while, and told then")
    func busy() {
        var steps = DrainSteps(isDryRun: true)
        _ = steps.handle(.begun, at: 0)
        _ = steps.handle(.workers([(1, 2)], sweep: 7), at: 0)
        let nothing = Event.given(worker: 1, sweep: 7, handedOver: 0, returned: 0, left: 2)
        #expect(steps.handle(nothing, at: DrainSteps.patience - 1) == [.askLater(worker: 1, sweep: 7)])
        #expect(
            steps.handle(.askAgain(worker: 1, sweep: 7), at: DrainSteps.patience)
                == [.tellProgress, .ask(worker: 1, sweep: 7)])
        // A dry run is one sweep.
        #expect(steps.handle(nothing, at: DrainSteps.patience) == [.tellProgress, .end])
        #expect(steps.busy == 2)
    }

    @Test("the addresses move when nothing has come for a while, or after the longest time")
    func following() {
        for comesAlways in [false, true] {
            var steps = Self.steps(at: .following)
            let start: UInt64 = 1 << 40
            var now = start
            // The step began long ago by this clock, so it is entered anew.
            steps = DrainSteps(isDryRun: false)
            for event in Self.way(to: .following) { _ = steps.handle(event, at: start) }
            var sweeps = 0
            while steps.step == .following, sweeps < 1_000 {
                sweeps += 1
                _ = steps.handle(.workers([], sweep: UInt64(sweeps)), at: now)
                if steps.handle(.looked(hasNewcomers: comesAlways), at: now) == [.sweepLater] {
                    now += DrainSteps.quiet / 4
                    #expect(steps.handle(.sweepAgain, at: now) == [.listWorkers])
                }
            }
            #expect(steps.step == .movingAddresses)
            #expect(now - start == (comesAlways ? DrainSteps.followingLimit : DrainSteps.quiet))
        }
    }

    @Test("a stop and a broken link end it when the fate of what moves is known")
    func ending() {
        for isStopped in [true, false] {
            var steps = DrainSteps(isDryRun: false)
            _ = steps.handle(.begun, at: 0)
            _ = steps.handle(.workers([(1, 9)], sweep: 7), at: 0)
            if isStopped { #expect(steps.handle(.stop, at: 0) == []) }
            _ = steps.handle(.given(worker: 1, sweep: 7, handedOver: 8, returned: 0, left: 1), at: 0)
            let last = Self.tally(handled: 8, linkFailure: isStopped ? nil : "broken")
            #expect(steps.handle(.tally(last), at: 0) == [.tellProgress, .end])
            #expect(steps.failure == (isStopped ? nil : "broken") && steps.isStopping == isStopped)
            #expect(steps.handle(.ended(last), at: 0) == [.report])
        }
    }
}
