import Testing

@testable import BatonServer

@Suite("The life of a server, phase by phase")
struct ServerLifeTests {
    private typealias Life = ServerLife<Int>
    private typealias Phase = Life.Phase
    private typealias Event = Life.Event
    private typealias Action = Life.Action

    private static let stopping = "the server is stopping"
    private static let busy = "the server is being replaced or stopped already; look at baton status"
    private static let draining =
        "connections are moving to another host; upgrade when baton drain has ended, or stop it"
    private static let remainder = Remainder(pid: 7, connections: 2, workers: [8])

    /// What leads to a phase.
    private static func way(to phase: Phase) -> [Event] {
        switch phase {
        case .starting: []
        case .ready: [.ready]
        case .serving: [.ready, .turn]
        case .delaying: way(to: .serving) + [.stop(mayDelay: true)]
        case .replacing: way(to: .serving) + [.upgrade(1)]
        case .retiring: way(to: .replacing) + [.successorAccepts]
        case .finishing: way(to: .serving) + [.stop(mayDelay: false)]
        case .leaving: way(to: .retiring) + [.replaced]
        case .failed: [.startFailed("why")]
        case .ended: way(to: .leaving) + [.reported]
        }
    }

    private static func life(_ events: [Event], hasPredecessor: Bool = false, isRestored: Bool = false) -> Life {
        var life = Life(hasPredecessor: hasPredecessor, isRestored: isRestored)
        for event in events { _ = life.handle(event) }
        return life
    }

    private typealias Row = (name: String, event: Event, cells: [Phase: (Phase, [Action])])

    private static let closing: [Action] = [.stopSuccessor(atOnce: true), .closeRest]

    private static func stop(accepts: Bool, _ actions: [Action]) -> [Action] { [.tellStop(accepts: accepts)] + actions }

    /// Where a first stop leads, and what is done.
    private static func stops(delays: Bool) -> [Phase: (Phase, [Action])] {
        let finish: [Action] = [.acceptNoMore, .look]
        let end: [Action] = delays ? [.awaitDelay] : finish
        let next: Phase = delays ? .delaying : .finishing
        let why = Life.stoppedWhileStarting
        return [
            .starting: (.failed, stop(accepts: false, [.failStart(why)])),
            .ready: (.finishing, stop(accepts: false, [.failStart(why)] + finish)),
            .serving: (next, stop(accepts: delays, end)),
            .replacing: (next, stop(accepts: delays, [.stopSuccessor(atOnce: false)] + end)),
            .retiring: (.finishing, stop(accepts: false, [.stopSuccessor(atOnce: false), .resumeWorkers] + finish)),
            .leaving: (.leaving, stop(accepts: false, [])),
            .failed: (.failed, stop(accepts: false, [])),
        ]
    }

    /// What a stop of the other server does that is one at once.
    private static let stopsAtOnce: [Phase: (Phase, [Action])] = {
        var cells = stops(delays: false)
        for (phase, (next, actions)) in cells where next != .failed { cells[phase] = (next, actions + closing) }
        cells[.delaying] = (.finishing, [.acceptNoMore, .look] + closing)
        cells[.finishing] = (.finishing, closing)
        return cells
    }()

    /// Where each event leads, and what is done. What is not here does nothing.
    private static let table: [Row] = [
        ("ready", .ready, [.starting: (.ready, [.tellReady])]),
        ("start failed", .startFailed("why"), [.starting: (.failed, [.failStart("why")])]),
        ("turn", .turn, [.ready: (.serving, [.serve])]),
        (
            "abandoned", .abandoned,
            Dictionary(
                uniqueKeysWithValues: Phase.allCases.filter { $0 != .ended }.map { phase in
                    let hasBegun = ![.starting, .ready, .failed].contains(phase)
                    return (
                        phase, (.ended, (hasBegun ? [] : [.killWorkers]) + [.endMigration, .end(isReplaced: false)])
                    )
                })
        ),
        (
            "upgrade", .upgrade(2),
            Dictionary(
                uniqueKeysWithValues: Phase.allCases.map { phase in
                    switch phase {
                    case .serving: (phase, (.replacing, [.beginUpgrade(2)]))
                    case .delaying, .finishing, .ended: (phase, (phase, [.declineUpgrade(2, stopping)]))
                    default: (phase, (phase, [.declineUpgrade(2, busy)]))
                    }
                })
        ),
        ("successor accepts", .successorAccepts, [.replacing: (.retiring, [.handOver])]),
        (
            "accept again", .acceptAgain,
            [
                .replacing: (.serving, [.acceptAgain]),
                .retiring: (.serving, [.resumeWorkers, .acceptAgain, .resumeMigration]),
            ]
        ),
        ("upgrade failed", .upgradeFailed, [.replacing: (.serving, [])]),
        ("replaced", .replaced, [.retiring: (.leaving, [.leave])]),
        ("reported", .reported, [.leaving: (.ended, [.end(isReplaced: true)])]),
        ("lingers, without a predecessor", .predecessorLingers(remainder), [:]),
        (
            "drain ended", .drainEnded,
            Dictionary(
                uniqueKeysWithValues: Phase.allCases.filter { $0 != .ended }.map { ($0, ($0, [.look])) })
        ),
        ("drain began", .drainBegan, [:]),
        (
            "stop that may delay", .stop(mayDelay: true),
            stops(delays: true).merging([
                .delaying: (.finishing, [.acceptNoMore, .look] + closing), .finishing: (.finishing, closing),
            ]) { $1 }
        ),
        (
            "stop", .stop(mayDelay: false),
            stops(delays: false).merging([
                .delaying: (.finishing, [.acceptNoMore, .look] + closing), .finishing: (.finishing, closing),
            ]) { $1 }
        ),
        ("the other stops, and this one may delay", .otherStops(atOnce: false, mayDelay: true), stops(delays: true)),
        ("the other stops", .otherStops(atOnce: false, mayDelay: false), stops(delays: false)),
        ("the other stops at once", .otherStops(atOnce: true, mayDelay: false), stopsAtOnce),
        ("delay over", .delayOver, [.delaying: (.finishing, [.acceptNoMore, .look])]),
        ("time over", .timeOver, [.finishing: (.finishing, closing)]),
        ("closed, without having been asked", .closed, [:]),
        ("something is left", .looked(isEmpty: false), [:]),
        ("nothing is left", .looked(isEmpty: true), [.finishing: (.ended, [.end(isReplaced: false)])]),
        (
            "predecessor ended", .predecessorEnded,
            Dictionary(
                uniqueKeysWithValues: Phase.allCases.filter { $0 != .ended }.map { ($0, ($0, [.look])) })
        ),
    ]

    @Test(
        "every event in every phase leads where the table says, and does what it says",
        arguments: ServerLife<Int>.Phase.allCases)
    func everywhere(phase: ServerLife<Int>.Phase) {
        for (name, event, cells) in Self.table {
            var life = Self.life(Self.way(to: phase))
            #expect(life.phase == phase)
            let actions = life.handle(event)
            let (next, expected) = cells[phase] ?? (phase, [])
            #expect(life.phase == next, "\(name)")
            #expect(actions == expected, "\(name)")
        }
    }

    @Test("what parts of the server and operators are told of each phase")
    func moments() {
        let told = Phase.allCases.map { phase in
            let life = Self.life(Self.way(to: phase))
            return "\(life.moment) \(life.name) \(life.canDrain)"
        }
        #expect(
            told == [
                "starting starting false", "starting starting false", "serving serving true", "serving serving false",
                "replacing replacing false", "replaced retiring false", "stopping finishing false",
                "stopping finishing false", "starting starting false", "stopping finishing false",
            ])
    }

    // MARK: The server before

    @Test("a server that has one before it tells it of a stop, and ends after it")
    func stopWithPredecessor() {
        var life = Self.life(Self.way(to: .serving), hasPredecessor: true)
        #expect(
            life.handle(.stop(mayDelay: false))
                == [.tellStop(accepts: false), .stopPredecessor(atOnce: false), .acceptNoMore, .look])
        #expect(life.handle(.looked(isEmpty: true)) == [])
        #expect(life.handle(.predecessorEnded) == [.look])
        #expect(life.handle(.looked(isEmpty: true)) == [.end(isReplaced: false)])
    }

    @Test("a second stop is one at once for the server before, too")
    func stopTwiceWithPredecessor() {
        var life = Self.life(Self.way(to: .delaying), hasPredecessor: true)
        #expect(
            life.handle(.stop(mayDelay: true))
                == [.acceptNoMore, .look, .stopPredecessor(atOnce: true)] + Self.closing)
        #expect(life.handle(.stop(mayDelay: true)) == [])
        #expect(life.handle(.timeOver) == [])
        #expect(life.handle(.closed) == [.end(isReplaced: false)])
    }

    @Test("an upgrade waits for the server before; the last one that was asked for is the one that begins")
    func postponed() {
        var life = Self.life(Self.way(to: .serving), hasPredecessor: true)
        #expect(life.handle(.upgrade(1)) == [.tellPostponed])
        #expect(
            life.handle(.upgrade(2))
                == [.declineUpgrade(1, "another upgrade was asked for after this one"), .tellPostponed])
        #expect(life.phase == .serving)
        #expect(life.handle(.predecessorEnded) == [.look, .beginUpgrade(2)])
        #expect(life.phase == .replacing)
        #expect(life.handle(.predecessorEnded) == [.look])
    }

    @Test("what lingers with the server before is why an upgrade cannot come, until it has ended")
    func lingering() {
        var life = Self.life(Self.way(to: .serving), hasPredecessor: true)
        _ = life.handle(.upgrade(1))
        #expect(life.handle(.predecessorLingers(Self.remainder)) == [.failUpgrade(1, Self.remainder.obstacle)])
        #expect(life.remainder == Self.remainder)
        #expect(life.handle(.upgrade(2)) == [.failUpgrade(2, Self.remainder.obstacle)])
        #expect(life.handle(.predecessorEnded) == [.look])
        #expect(life.remainder == nil)
        #expect(life.handle(.upgrade(3)) == [.beginUpgrade(3)])
    }

    @Test("a stop refuses an upgrade that waits")
    func stopWhilePostponed() {
        var life = Self.life(Self.way(to: .serving) + [.upgrade(1)], hasPredecessor: true)
        #expect(
            life.handle(.stop(mayDelay: true)) == [
                .tellStop(accepts: true), .declineUpgrade(1, Self.stopping), .stopPredecessor(atOnce: false),
                .awaitDelay,
            ])
        #expect(life.handle(.predecessorEnded) == [.look])
    }

    // MARK: Another service

    @Test("a stop while another service takes over waits until that has everything, and the other is not told to stop")
    func stopWhileSucceeded() {
        var life = Self.life(Self.way(to: .serving) + [.succession(1)])
        #expect(life.phase == .replacing)
        #expect(life.handle(.stop(mayDelay: true)) == [.tellStopWaits])
        #expect(!life.isStopping)
        #expect(life.handle(.successorAccepts) == [.handOver])
        #expect(life.handle(.replaced) == [.leave])
        #expect(life.handle(.reported) == [.end(isReplaced: true)])
    }

    @Test("the stop is done when the other service has failed, before and after it accepted")
    func stopWhenSuccessionFails() {
        let stop: [Action] = [.tellStop(accepts: true), .awaitDelay]
        var unused = Self.life(Self.way(to: .serving) + [.succession(1), .stop(mayDelay: true)])
        #expect(unused.handle(.upgradeFailed) == stop)
        var paused = Self.life(Self.way(to: .serving) + [.succession(1), .stop(mayDelay: true)])
        #expect(paused.handle(.acceptAgain) == [.acceptAgain] + stop)
        #expect(paused.handle(.upgradeFailed) == [])
        var takenBack = Self.life(
            Self.way(to: .serving) + [.succession(1), .successorAccepts, .stop(mayDelay: true)])
        #expect(
            takenBack.handle(.acceptAgain) == [.resumeWorkers, .acceptAgain, .resumeMigration] + stop)
    }

    @Test("a second stop ends the server, and the other service if that does not accept yet")
    func stopTwiceWhileSucceeded() {
        var life = Self.life(Self.way(to: .serving) + [.succession(1), .stop(mayDelay: false)])
        #expect(
            life.handle(.stop(mayDelay: false))
                == [.tellStop(accepts: false), .stopSuccessor(atOnce: false), .acceptNoMore, .look])
        var retiring = Self.life(
            Self.way(to: .serving) + [.succession(1), .successorAccepts, .stop(mayDelay: false)])
        #expect(
            retiring.handle(.stop(mayDelay: false))
                == [.tellStop(accepts: false), .resumeWorkers, .acceptNoMore, .look])
    }

    @Test("an upgrade of the server's own is stopped with it, also behind another service's that has failed")
    func stopOfUpgradeAfterSuccession() {
        var life = Self.life(Self.way(to: .serving) + [.succession(1), .upgradeFailed, .upgrade(2)])
        #expect(
            life.handle(.stop(mayDelay: false))
                == [.tellStop(accepts: false), .stopSuccessor(atOnce: false), .acceptNoMore, .look])
        #expect(life.handle(.succession(3)) == [.declineUpgrade(3, Self.stopping)])
    }

    // MARK: Drains

    @Test(
        "while connections move to another host there is neither an upgrade nor another drain; a stop stops it and waits for it"
    )
    func draining() {
        var life = Self.life(Self.way(to: .serving) + [.drainBegan])
        #expect(!life.canDrain)
        #expect(life.handle(.upgrade(1)) == [.declineUpgrade(1, Self.draining)])
        #expect(
            life.handle(.stop(mayDelay: false)) == [.tellStop(accepts: false), .stopDrain, .acceptNoMore, .look])
        #expect(life.handle(.looked(isEmpty: true)) == [])
        #expect(life.handle(.drainEnded) == [.look])
        #expect(life.handle(.looked(isEmpty: true)) == [.end(isReplaced: false)])
    }

    @Test("an upgrade that waits is refused when a drain has begun meanwhile")
    func drainWhilePostponed() {
        var life = Self.life(Self.way(to: .serving) + [.upgrade(1), .drainBegan], hasPredecessor: true)
        #expect(life.handle(.predecessorEnded) == [.look, .declineUpgrade(1, Self.draining)])
    }

    // MARK: In the place of a dead front

    @Test("a server that goes on where a front has died has workers with connections, and kills none")
    func restored() {
        #expect(Life(isRestored: true).phase == .ready)
        var life = Life(isRestored: true)
        #expect(life.handle(.startFailed("why")) == [])
        #expect(life.handle(.abandoned) == [.endMigration, .end(isReplaced: false)])
        var stopped = Life(isRestored: true)
        #expect(
            stopped.handle(.stop(mayDelay: false))
                == [.tellStop(accepts: false), .failStart(Life.stoppedWhileStarting), .acceptNoMore, .look])
        #expect(stopped.handle(.turn) == [])
        #expect(stopped.handle(.abandoned) == [.endMigration, .end(isReplaced: false)])
    }

    // MARK: Every order

    private static let events: [Event] = [
        .ready, .startFailed("why"), .turn, .abandoned, .upgrade(0), .successorAccepts, .acceptAgain, .upgradeFailed,
        .replaced, .reported, .predecessorLingers(remainder), .predecessorEnded, .drainBegan, .drainEnded,
        .stop(mayDelay: true), .stop(mayDelay: false), .otherStops(atOnce: true, mayDelay: false), .delayOver,
        .timeOver,
        .closed, .looked(isEmpty: true),
    ]

    /// What operators rely on, in one order of events.
    private struct Witness {
        var life: Life
        var asked = 0
        var unanswered: Set<Int> = []
        var isStopped = false
        var acceptsNoMore = false
        var isClosing = false
        var hasEnded = false

        mutating func handle(_ event: Event) {
            var event = event
            if case .upgrade = event {
                asked += 1
                unanswered.insert(asked)
                event = .upgrade(asked)
            }
            switch event {
            case .stop, .otherStops: isStopped = isStopped || life.phase != .ended
            default: break
            }
            for action in life.handle(event) { perform(action) }
            #expect(life.isStopping == isStopped)
            #expect(hasEnded == (life.phase == .ended))
            if hasEnded || isStopped { #expect(unanswered.isEmpty, "nobody waits for what will not come") }
            if isStopped { #expect(![.serving, .replacing, .retiring].contains(life.phase), "a stop is final") }
        }

        private mutating func perform(_ action: Action) {
            switch action {
            case .declineUpgrade(let request, _), .failUpgrade(let request, _), .beginUpgrade(let request):
                let wasWaiting = unanswered.remove(request) != nil
                #expect(wasWaiting, "answered twice")
            case .serve, .acceptAgain, .handOver: #expect(!isStopped && !acceptsNoMore)
            case .acceptNoMore:
                #expect(!acceptsNoMore)
                acceptsNoMore = true
            case .closeRest:
                #expect(isStopped && !isClosing)
                isClosing = true
            case .end:
                #expect(!hasEnded)
                hasEnded = true
            default: break
            }
        }
    }

    @Test(
        "in every order of events a stop is final, the server ends once, and each who asked for an upgrade is answered once",
        arguments: [false, true])
    func everyOrder(hasPredecessor: Bool) {
        func explore(_ witness: Witness, depth: Int) {
            guard depth > 0, !witness.hasEnded else { return }
            for event in Self.events {
                var next = witness
                next.handle(event)
                explore(next, depth: depth - 1)
            }
        }
        for start in [Phase.starting, .serving, .replacing] {
            var witness = Witness(life: Life(hasPredecessor: hasPredecessor))
            for event in Self.way(to: start) { witness.handle(event) }
            explore(witness, depth: 4)
        }
    }
}
