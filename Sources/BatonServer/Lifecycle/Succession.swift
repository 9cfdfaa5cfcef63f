/// The old server's side of an upgrade: what it does at each event, so that at every moment one server accepts, and a
/// failure at any step leaves one with every connection. It does nothing itself: the front performs the actions it
/// returns, in their order, and says how they ended.
///
/// ```
///              ready            paused           accepting             settled
///  starting ──────────▶ pausing ──────▶ yielding ─────────▶ handingOver ──────▶ over
///      │                   │               │                  │     │ stuck      ▲
///      └───────────────────┴──── failing ──┘          its end │     ▼            │
///        refused, late:       its end │                       │  lingering ──────┘
///        it is ended                  ▼                       ▼     settled
///                             over: this server goes on, with what it has
/// ```
///
/// The old server's connections move when the new one has said that it accepts, and not before. It accepts again when
/// the new one is dead, and not before. A stop at any step is one of both servers: nothing that comes later starts
/// either again.
struct Succession {
    enum Step: Hashable, CaseIterable {
        /// The new server starts. Nothing has changed here.
        case starting
        /// The new server has done all that can fail. Here nothing more is accepted; what was is on its way to a handshake.
        case pausing
        /// The new server is told to accept, and has not said that it does. Who connects waits in the socket's queue.
        case yielding
        /// The new server accepts. What is here goes there.
        case handingOver
        /// All that can be moved has been. The rest is with workers that do not answer.
        case lingering
        /// The new server has failed before it accepted, and is about to be dead.
        case failing
        case over
    }

    enum Event: Hashable {
        /// The new server is ready.
        ///
        /// - Parameter announces: whether it says when it accepts; a version that does not accepts as soon as it is told.
        case ready(announces: Bool)
        /// Nothing is accepted here any more.
        case paused
        /// The new server accepts.
        case accepting
        /// The new server cannot serve, by its own word.
        case refused(String)
        /// The process of the new server has ended.
        case died(String)
        /// The step has taken as long as it may.
        case late(Step)
        /// What is left is with workers that have not answered for long.
        case stuck
        /// Nothing is left here.
        case settled
        /// Either server was told to stop.
        case stop
    }

    enum Action: Hashable {
        case stopAccepting
        /// Tells the new server to accept.
        case tellToAccept
        /// Everything here goes to the new server's workers.
        case handOver
        /// Ends the process of the new server.
        case kill
        /// Accepts again. Connections have stayed here.
        case acceptAgain
        /// Accepts again, and keeps what has not been handed over.
        case takeBack
        /// The upgrade has failed, and this server goes on.
        case reportFailure(String)
        /// The upgrade has ended because the server was told to stop.
        case reportStop
        /// The new server has taken over.
        case reportSuccess
        /// Nothing is left to do here: the process ends.
        case leave
        /// Tells the new server to stop.
        case tellToStop
    }

    private(set) var step = Step.starting
    /// Whether listening has been stopped here.
    private var hasPaused = false
    private var announces = true
    private var why: String?

    /// How long a step may take, in seconds; `nil`: as long as it takes.
    static func limit(of step: Step) -> Int64? {
        switch step {
        case .starting, .pausing, .yielding: 30
        case .failing: 5
        case .handingOver, .lingering, .over: nil
        }
    }

    mutating func handle(_ event: Event) -> [Action] {
        switch (step, event) {
        case (.over, _): return []

        case (.starting, .ready(let announces)):
            self.announces = announces
            hasPaused = true
            step = .pausing
            return [.stopAccepting]
        case (.pausing, .paused):
            step = .yielding
            // An older version says nothing when it accepts; it is taken for accepting then.
            return announces ? [.tellToAccept] : [.tellToAccept] + handle(.accepting)
        case (.yielding, .accepting):
            step = .handingOver
            return [.handOver]
        case (.handingOver, .stuck):
            step = .lingering
            return [.reportSuccess]
        case (.handingOver, .settled):
            step = .over
            return [.reportSuccess, .leave]
        case (.lingering, .settled):
            step = .over
            return [.leave]

        case (.starting, .refused(let why)), (.pausing, .refused(let why)), (.yielding, .refused(let why)):
            self.why = why
            step = .failing
            return []
        case (.starting, .late(.starting)), (.pausing, .late(.pausing)), (.yielding, .late(.yielding)):
            why = step == .starting ? "the new process was not ready in time" : "the new process did not accept in time"
            step = .failing
            return [.kill]
        case (.failing, .late(.failing)): return [.kill]
        case (.starting, .died(let ending)), (.pausing, .died(let ending)), (.yielding, .died(let ending)),
            (.failing, .died(let ending)):
            step = .over
            let reason = why ?? "the new process ended before it accepted (\(ending)); see the log"
            return (hasPaused ? [.acceptAgain] : []) + [.reportFailure(reason)]
        case (.handingOver, .died(let ending)):
            step = .over
            return [.takeBack, .reportFailure("the new process ended while it took over (\(ending)); see the log")]
        case (.lingering, .died):
            // It has taken over, and ended since, which it would not have done without a word if it had been told to.
            step = .over
            return [.takeBack]

        case (.starting, .stop), (.failing, .stop):
            // It accepts nothing yet, or no more.
            step = .over
            return [.kill, .reportStop]
        case (.pausing, .stop), (.yielding, .stop), (.handingOver, .stop):
            step = .over
            return [.tellToStop, .reportStop]
        case (.lingering, .stop):
            step = .over
            return [.tellToStop]

        case (_, .ready), (_, .paused), (_, .accepting), (_, .refused), (_, .late), (_, .stuck), (_, .settled):
            return []
        }
    }
}
