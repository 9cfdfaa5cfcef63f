/// The life of a server, as its front leads it: how it starts, is upgraded and is stopped. It does nothing itself: the front
/// performs the actions it returns, in their order.
///
/// ```
///            ready         turn           upgrade            successorAccepts            replaced            reported
///  starting ──────▶ ready ──────▶ serving ────────▶ replacing ────────────────▶ retiring ─────────▶ leaving ─────────▶ ended
///                                  │  ▲  ▲ upgradeFailed │ acceptAgain              │                                     ▲
///                                  │  │  └───────────────┘                          │                                     │
///                                  │  └─────────────────────────────────────────────┘                                     │
///                             stop ▼        delayOver                 nothing is left, closed                             │
///                              delaying ────────────▶ finishing ──────────────────────────────────────────────────────────┘
/// ```
/// A start that fails leads to `failed`, as does a stop before it has come to `ready`. Any other stop leads to `finishing`: by
/// `delaying` where connections are accepted, and at once elsewhere. It is final: nothing that comes later has the server
/// serve again.
///
/// What passes between the two servers of an upgrade is decided by `Succession`.
///
/// - Parameter Request: a request for an upgrade.
struct ServerLife<Request> {
    enum Phase: CaseIterable {
        /// The processes of the server start.
        case starting
        /// All that can fail has been done, or is about to be; it may have to wait for its turn.
        case ready
        case serving
        /// It was told to stop, and accepts for `shutdown-delay` still.
        case delaying
        /// A successor starts; this one serves until it is ready.
        case replacing
        /// The successor accepts; what is here goes there.
        case retiring
        /// It accepts no more, and ends with its last connection, or at the time limit.
        case finishing
        /// The successor has everything.
        case leaving
        /// It cannot start, or was told to stop before it had: it is given up.
        case failed
        case ended
    }

    enum Event {
        /// All processes are ready.
        case ready
        /// One of them cannot be had.
        case startFailed(String)
        /// Nobody else accepts.
        case turn
        /// The start has failed, for whatever reason.
        case abandoned

        case upgrade(Request)
        /// Another service is to succeed this one, with processes of its own.
        case succession(Request)
        /// The new server accepts.
        case successorAccepts
        /// The new server has died, and nobody accepts.
        case acceptAgain
        /// The upgrade has failed. If nobody accepts, `acceptAgain` has come before.
        case upgradeFailed
        /// The new server has everything.
        case replaced
        /// Whoever asked for the upgrade knows.
        case reported

        /// The server before this one has left connections with workers that do not answer.
        case predecessorLingers(Remainder)
        /// The server before this one has nothing left.
        case predecessorEnded

        case drainBegan
        case drainEnded

        /// A signal. One that comes again means: at once.
        ///
        /// - Parameter mayDelay: whether connections are accepted, and `shutdown-delay` is set.
        case stop(mayDelay: Bool)
        /// The other server of an upgrade was told to stop.
        case otherStops(atOnce: Bool, mayDelay: Bool)
        /// `shutdown-delay` is over.
        case delayOver
        /// `shutdown-time` is over.
        case timeOver
        /// The time is over that connections have had to end which were closed.
        case closed
        /// What is left here.
        case looked(isEmpty: Bool)
    }

    enum Action {
        case tellReady
        case failStart(String)
        case serve
        case killWorkers

        case beginUpgrade(Request)
        /// Whoever asked is told why there is no upgrade.
        case declineUpgrade(Request, String)
        /// As `declineUpgrade`, and the log tells it.
        case failUpgrade(Request, String)
        case tellPostponed
        /// The stop waits for the other service: what it takes over is not to be ended.
        case tellStopWaits
        /// The successor accepts: connections that come here, and what moves them between hosts, end here.
        case handOver
        /// Takes connections again.
        case acceptAgain
        /// Workers that were to leave take connections again.
        case resumeWorkers
        case resumeMigration
        /// Says that the successor is the service, and tells it what has been counted.
        case leave

        /// - Parameter accepts: whether connections are accepted for `shutdown-delay`.
        case tellStop(accepts: Bool)
        case stopDrain
        case stopSuccessor(atOnce: Bool)
        case stopPredecessor(atOnce: Bool)
        /// `delayOver` is to come.
        case awaitDelay
        /// Connections are accepted no more, and workers leave with their last one. `timeOver` is to come.
        case acceptNoMore
        /// `looked` is to come.
        case look
        /// Connections that are left are closed. `closed` is to come.
        case closeRest
        /// The processes that move connections between hosts end.
        case endMigration
        /// - Parameter isReplaced: whether a successor has the sockets and their names.
        case end(isReplaced: Bool)
    }

    static var stoppedWhileStarting: String { "the server was told to stop while it started" }

    private(set) var phase: Phase
    /// Whether it was told to stop.
    private(set) var isStopping = false
    /// What the server before this one has left with workers that do not answer.
    private(set) var remainder: Remainder?
    /// Whether the server before this one has something left.
    private var hasPredecessor: Bool
    /// Whether a connection may have come to a worker.
    private var hasBegun: Bool
    private var isDraining = false
    private var isClosing = false
    /// An upgrade that waits until the server before this one has nothing left: workers that it knows may not leave.
    private var postponed: Successor?
    /// Whether what replaces this server is another service, which goes on when this one is told to stop.
    private var successorIsService = false
    /// A stop that came while another service took over, for if that fails: whether it may delay.
    private var stopWaits: Bool?

    private struct Successor {
        var request: Request
        var isService: Bool
    }

    /// - Parameter isRestored: whether it goes on where a front has died, and has its workers.
    init(hasPredecessor: Bool = false, isRestored: Bool = false) {
        self.hasPredecessor = hasPredecessor
        hasBegun = isRestored
        phase = isRestored ? .ready : .starting
    }

    /// Whether connections may begin to move to another host.
    var canDrain: Bool { phase == .serving && !isDraining }

    /// What it is doing, as far as its parts are concerned.
    var moment: ServerMoment {
        switch phase {
        case .starting, .ready, .failed: .starting
        case .serving, .delaying: .serving
        case .replacing: .replacing
        case .retiring: .replaced
        case .finishing, .leaving, .ended: .stopping
        }
    }

    /// For status and the admin page.
    var name: String {
        switch phase {
        case .starting, .ready, .failed: "starting"
        case .serving, .delaying: "serving"
        case .replacing: "replacing"
        case .retiring: "retiring"
        case .finishing, .leaving, .ended: "finishing"
        }
    }

    mutating func handle(_ event: Event) -> [Action] {
        switch (phase, event) {
        case (.ended, .upgrade(let request)), (.ended, .succession(let request)):
            return [.declineUpgrade(request, "the server is stopping")]
        case (.ended, _): return []

        case (.starting, .ready):
            phase = .ready
            return [.tellReady]
        case (.starting, .startFailed(let why)):
            phase = .failed
            return [.failStart(why)]
        case (.ready, .turn):
            phase = .serving
            hasBegun = true
            return [.serve]
        case (_, .abandoned):
            phase = .ended
            let refused = takePostponed().map { [Action.declineUpgrade($0.request, "the server has failed")] } ?? []
            // Workers of a server that has begun end by themselves, with what they have.
            return refused + (hasBegun ? [] : [.killWorkers]) + [.endMigration, .end(isReplaced: false)]

        case (_, .upgrade(let request)): return upgrade(Successor(request: request, isService: false))
        case (_, .succession(let request)): return upgrade(Successor(request: request, isService: true))
        case (.replacing, .successorAccepts):
            phase = .retiring
            return [.handOver]
        case (.replacing, .acceptAgain):
            phase = .serving
            return [.acceptAgain] + takeWaitingStop()
        case (.retiring, .acceptAgain):
            phase = .serving
            return [.resumeWorkers, .acceptAgain, .resumeMigration] + takeWaitingStop()
        case (.replacing, .upgradeFailed):
            phase = .serving
            return takeWaitingStop()
        case (.retiring, .replaced):
            phase = .leaving
            return [.leave]
        case (.leaving, .reported): return end()

        case (_, .predecessorLingers(let remainder)):
            guard hasPredecessor else { return [] }
            self.remainder = remainder
            return takePostponed().map { [.failUpgrade($0.request, remainder.obstacle)] } ?? []
        case (_, .predecessorEnded):
            hasPredecessor = false
            remainder = nil
            return [.look] + (takePostponed().map { upgrade($0) } ?? [])

        case (_, .drainBegan):
            isDraining = true
            return []
        case (_, .drainEnded):
            isDraining = false
            return [.look]

        case (.replacing, .stop(let mayDelay)), (.retiring, .stop(let mayDelay)):
            guard successorIsService, !isStopping, stopWaits == nil else {
                return isStopping ? closeRest() : stop(mayDelay: mayDelay)
            }
            stopWaits = mayDelay
            return [.tellStopWaits]
        // Asked twice: at once.
        case (_, .stop(let mayDelay)): return isStopping ? closeRest() : stop(mayDelay: mayDelay)
        case (_, .otherStops(let atOnce, let mayDelay)):
            return (isStopping ? [] : stop(mayDelay: mayDelay)) + (atOnce ? closeRest() : [])
        case (.delaying, .delayOver): return finish()
        case (.finishing, .timeOver): return closeRest()
        case (.finishing, .closed), (.leaving, .closed): return isClosing ? end() : []
        case (.finishing, .looked(let isEmpty)):
            // As long as the one before has connections, this one answers for it.
            return isEmpty && !isDraining && !hasPredecessor ? end() : []

        case (_, .ready), (_, .startFailed), (_, .turn), (_, .successorAccepts), (_, .acceptAgain), (_, .upgradeFailed),
            (_, .replaced), (_, .reported), (_, .delayOver), (_, .timeOver), (_, .closed), (_, .looked):
            return []
        }
    }

    // MARK: Upgrades

    private mutating func upgrade(_ successor: Successor) -> [Action] {
        let request = successor.request
        if isStopping { return [.declineUpgrade(request, "the server is stopping")] }
        if isDraining {
            return [
                .declineUpgrade(
                    request,
                    "connections are moving to another host; upgrade when baton drain has ended, or stop it")
            ]
        }
        guard phase == .serving else {
            return [
                .declineUpgrade(
                    request, "the server is being replaced or stopped already; look at baton status")
            ]
        }
        if let remainder { return [.failUpgrade(request, remainder.obstacle)] }
        if hasPredecessor {
            let former = takePostponed()
            postponed = successor
            return (former.map { [.declineUpgrade($0.request, "another upgrade was asked for after this one")] } ?? [])
                + [.tellPostponed]
        }
        phase = .replacing
        successorIsService = successor.isService
        return [.beginUpgrade(request)]
    }

    private mutating func takePostponed() -> Successor? {
        defer { postponed = nil }
        return postponed
    }

    // MARK: Stopping

    private mutating func stop(mayDelay: Bool) -> [Action] {
        isStopping = true
        let delays = mayDelay && (phase == .serving || phase == .replacing)
        var actions = [Action.tellStop(accepts: delays)]
        if isDraining { actions.append(.stopDrain) }
        if let successor = takePostponed() {
            actions.append(.declineUpgrade(successor.request, "the server is stopping"))
        }
        switch phase {
        case .starting:
            // Nobody depends on it yet.
            phase = .failed
            return actions + [.failStart(Self.stoppedWhileStarting)]
        case .ready: actions.append(.failStart(Self.stoppedWhileStarting))
        case .serving: if hasPredecessor { actions.append(.stopPredecessor(atOnce: false)) }
        case .replacing: actions.append(.stopSuccessor(atOnce: false))
        // What is left stays, and what still comes here is placed here.
        case .retiring: actions += (successorIsService ? [] : [.stopSuccessor(atOnce: false)]) + [.resumeWorkers]
        case .delaying, .finishing, .leaving, .failed, .ended: return actions
        }
        guard delays else { return actions + finish() }
        phase = .delaying
        return actions + [.awaitDelay]
    }

    /// The successor has failed, and this server does what it was told meanwhile.
    private mutating func takeWaitingStop() -> [Action] {
        guard let mayDelay = stopWaits else { return [] }
        stopWaits = nil
        return stop(mayDelay: mayDelay)
    }

    private mutating func finish() -> [Action] {
        phase = .finishing
        return [.acceptNoMore, .look]
    }

    private mutating func closeRest() -> [Action] {
        guard !isClosing, phase != .failed else { return [] }
        isClosing = true
        let actions = phase == .delaying ? finish() : []
        return actions + (hasPredecessor ? [.stopPredecessor(atOnce: true)] : [])
            + [.stopSuccessor(atOnce: true), .closeRest]
    }

    private mutating func end() -> [Action] {
        let isReplaced = phase == .leaving
        phase = .ended
        return [.end(isReplaced: isReplaced)]
    }
}

extension ServerLife.Event: Sendable where Request: Sendable {}
extension ServerLife.Action: Sendable where Request: Sendable {}
extension ServerLife.Action: Equatable where Request: Equatable {}
