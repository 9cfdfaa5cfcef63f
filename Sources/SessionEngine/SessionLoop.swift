internal import BatonCore
internal import CSessionArena
internal import Libc
internal import Synchronization

/// An engine on a thread of its own.
///
/// Calls come from any thread and return at once. Answers, events and the keeper's two callbacks come on the engine's
/// thread, which they must not hold up.
package final class SessionLoop: Sendable {
    /// What the loop calls, all on its thread.
    package struct Callbacks: Sendable {
        /// Something has happened to sessions.
        package var events: @Sendable ([SessionEvent]) -> Void
        /// Sessions are about to live: whoever keeps their sockets duplicates them before this returns.
        package var keep: @Sendable ([SessionSockets]) -> Void
        /// Slots are free: duplicates of their sockets can be closed.
        package var released: @Sendable ([SlotName]) -> Void
        /// Answers what pages are asked.
        package var respond: PageResponder

        package init(
            events: @escaping @Sendable ([SessionEvent]) -> Void,
            keep: @escaping @Sendable ([SessionSockets]) -> Void = { _ in },
            released: @escaping @Sendable ([SlotName]) -> Void = { _ in },
            respond: @escaping PageResponder = { _ in [] }
        ) {
            self.events = events
            self.keep = keep
            self.released = released
            self.respond = respond
        }
    }

    /// How the engine comes to its arena.
    package struct Start: Sendable {
        /// The arena's descriptor, which stays the caller's.
        package var arena: CInt
        /// A number that no other owner has or had; not 0.
        package var owner: UInt64
        /// How the owner before has ended; `nil`: it has not, and `take` says when.
        package var former: FormerEnd?
        /// The sockets of sessions that live in the arena; they are the engine's from then on.
        package var sockets: [SlotName: (client: CInt, upstream: CInt)]
        package var limits: SessionLimits

        package init(
            arena: CInt, owner: UInt64, former: FormerEnd? = .relinquished,
            sockets: [SlotName: (client: CInt, upstream: CInt)] = [:], limits: SessionLimits = SessionLimits()
        ) {
            self.arena = arena
            self.owner = owner
            self.former = former
            self.sockets = sockets
            self.limits = limits
        }
    }

    /// What is done before the engine has its arena.
    private enum Order {
        case add([SlotName: (client: CInt, upstream: CInt)])
        case remove([SlotName])
        case answer(@Sendable () -> Void)
        case tellOwner(@Sendable (UInt64) -> Void)
        case take(FormerEnd.Kind)
    }

    private struct Command {
        let work: @Sendable (inout Engine) -> Void
        /// What is done in its place if the loop has ended.
        let refuse: @Sendable () -> Void
    }

    private struct Queue {
        var commands: [Command] = []
        var orders: [Order] = []
        /// The engine does not have its arena yet.
        var isWaiting = true
        /// The thread has been woken for these, and need not be again.
        var isAwake = false
        var isStopping = false
        /// Nobody takes commands any more.
        var hasEnded = false
    }

    private let queue = Mutex(Queue())
    private let wake: CInt
    private let callbacks: Callbacks

    /// Maps the arena and starts the thread. `SessionEvent.started` or `.failed` is the first event.
    ///
    /// - Throws: if the arena cannot be mapped. The sockets stay the caller's then.
    package init(_ start: Start, _ callbacks: Callbacks) throws(ArenaError) {
        self.callbacks = callbacks
        wake = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard wake >= 0 else { throw .noMemory(errno) }
        let preparation: ArenaPreparation
        do throws(ArenaError) {
            preparation = try ArenaPreparation(Arena(mapping: start.arena), wakeable: wake)
        } catch {
            close(wake)
            throw error
        }
        let box = Mutex<ArenaPreparation?>(preparation)
        queue.withLock { queue in
            if !start.sockets.isEmpty { queue.orders.append(.add(start.sockets)) }
            if let former = start.former { queue.orders.append(.take(former.kind)) }
        }
        let work = Unmanaged.passRetained(Work(box) { [self] in run($0, start) })
        var thread = pthread_t()
        let failed = pthread_create(
            &thread, nil,
            { pointer in
                Unmanaged<Work>.fromOpaque(pointer!).takeRetainedValue().begin()
                return nil
            }, work.toOpaque())
        guard failed == 0 else {
            work.takeRetainedValue().abandon()
            close(wake)
            throw .noMemory(failed)
        }
        pthread_detach(thread)
    }

    deinit { close(wake) }

    // MARK: Sessions

    /// Begins sessions.
    ///
    /// - Parameter answer: gets those that could not begin, each in its parcel with all that is the caller's.
    package func begin(
        _ parcels: [SessionParcel], _ answer: @escaping @Sendable ([(SessionParcel, BeginError)]) -> Void
    ) {
        submit { engine in
            answer(engine.begin(parcels))
        } orElse: {
            answer(parcels.map { ($0, .stopped) })
        }
    }

    /// Takes sessions out again. The slots are free before `answer` is called.
    ///
    /// - Parameter answer: gets the sessions, and why the others stay.
    package func extract(
        _ numbers: [UInt64],
        _ answer: @escaping @Sendable (_ parcels: [SessionParcel], _ left: [(UInt64, ExtractError)]) -> Void
    ) {
        submit { engine in
            let (parcels, left) = engine.extract(numbers)
            answer(parcels, left)
        } orElse: {
            answer([], numbers.map { ($0, .unknown) })
        }
    }

    /// Takes out at most `count` sessions, whichever.
    package func extract(upTo count: Int, _ answer: @escaping @Sendable ([SessionParcel]) -> Void) {
        submit { engine in
            answer(engine.extract(upTo: count))
        } orElse: {
            answer([])
        }
    }

    /// Has sessions that are due to move go on here.
    package func goOn(_ numbers: [UInt64]) { submit { engine in engine.goOn(numbers) } }

    /// Resets both sides of sessions at once. Those that there are not are passed over.
    package func reset(_ numbers: [UInt64]) { submit { engine in engine.reset(numbers) } }

    /// Ends all sessions: echoes and pages in order, behind what they have to send, and relays by a reset of both sides.
    package func closeAll() { submit { engine in engine.closeAll() } }

    /// Resets both sides of all sessions at once.
    package func resetAll() { submit { engine in engine.resetAll() } }

    // MARK: What is said of sessions

    /// At most `limit` sessions whose numbers are above `number`, in the order of their numbers; `nil`: from the first.
    package func list(
        after number: UInt64?, limit: Int, _ answer: @escaping @Sendable ([SessionSummary]) -> Void
    ) {
        submit { engine in
            answer(engine.list(after: number, limit: limit))
        } orElse: {
            answer([])
        }
    }

    /// Those of these sessions that live, in the order of `numbers`.
    package func list(_ numbers: [UInt64], _ answer: @escaping @Sendable ([SessionSummary]) -> Void) {
        submit { engine in
            answer(engine.list(numbers))
        } orElse: {
            answer([])
        }
    }

    /// How many sessions live.
    package func count(_ answer: @escaping @Sendable (Int) -> Void) {
        submit { engine in
            answer(engine.sessionCount)
        } orElse: {
            answer(0)
        }
    }

    /// What each session has read and written since it came into its slot.
    package func counts(_ answer: @escaping @Sendable ([(number: UInt64, counts: SessionCounts)]) -> Void) {
        submit { engine in
            answer(engine.allCounts)
        } orElse: {
            answer([])
        }
    }

    /// Replaces a session's note. `answer` says whether there is such a session and room for the note.
    package func setNote(_ number: UInt64, _ note: [UInt8], _ answer: @escaping @Sendable (Bool) -> Void = { _ in }) {
        submit { engine in
            answer(engine.setNote(number, note))
        } orElse: {
            answer(false)
        }
    }

    /// Replaces sessions' idle limits, in milliseconds, and the bytes a second that either side is read; 0: none.
    package func setLimits(of sessions: [(number: UInt64, idle: UInt32, bandwidth: UInt64)]) {
        submit { engine in
            for session in sessions {
                engine.setIdleLimit(session.number, session.idle)
                engine.setBandwidth(session.number, session.bandwidth)
            }
        }
    }

    /// Replaces what all sessions keep to, and after how many records each is due to move (0: never).
    package func setLimits(_ limits: SessionLimits, moveEvery: UInt32) {
        submit { engine in engine.setLimits(limits, moveEvery: moveEvery) }
    }

    /// Has the engine relinquish its arena between two events and its thread end. Its sessions stay in the arena, for
    /// another owner. `SessionEvent.stopped` is the last event.
    package func stop() {
        queue.withLock { $0.isStopping = true }
        rouse()
    }

    // MARK: Before the engine has its arena

    /// These sessions live, or will. Their sockets are the loop's from here on.
    package func expect(_ sockets: [SlotName: (client: CInt, upstream: CInt)]) {
        guard order(.add(sockets)) else {
            for (client, upstream) in sockets.values {
                close(client)
                close(upstream)
            }
            return
        }
    }

    /// These sessions are over.
    package func forget(_ slots: [SlotName]) { _ = order(.remove(slots)) }

    /// Calls `answer` when everything is prepared that has been said before.
    package func prepared(_ answer: @escaping @Sendable () -> Void) { _ = order(.answer(answer)) }

    /// Calls `answer` with who has the arena; 0: nobody. It is not called if this engine has it, or has ended.
    package func owner(_ answer: @escaping @Sendable (UInt64) -> Void) { _ = order(.tellOwner(answer)) }

    /// The owner before has ended, or relinquished the arena: this engine takes it.
    package func take(after end: FormerEnd.Kind) { _ = order(.take(end)) }

    /// - Returns: whether the engine does not have its arena yet.
    private func order(_ order: Order) -> Bool {
        let isWaiting = queue.withLock { queue in
            if queue.isWaiting { queue.orders.append(order) }
            return queue.isWaiting
        }
        if isWaiting { rouse() }
        return isWaiting
    }

    // MARK: The thread

    private final class Work: Sendable {
        private let preparation: Mutex<ArenaPreparation?>
        private let body: @Sendable (consuming ArenaPreparation) -> Void

        init(
            _ preparation: consuming sending Mutex<ArenaPreparation?>,
            _ body: @escaping @Sendable (consuming ArenaPreparation) -> Void
        ) {
            self.preparation = preparation
            self.body = body
        }

        func begin() { if let preparation = preparation.withLock({ $0.take() }) { body(preparation) } }
        func abandon() { preparation.withLock { $0.take() }?.abandon() }
    }

    private func rouse() {
        let mustWake = queue.withLock { queue in
            defer { queue.isAwake = true }
            return !queue.hasEnded && !queue.isAwake
        }
        guard mustWake else { return }
        var one: UInt64 = 1
        _ = write(wake, &one, 8)
    }

    /// - Parameter refuse: called in place of `work` if the loop has ended, on this thread or its own.
    private func submit(
        _ work: @escaping @Sendable (inout Engine) -> Void, orElse refuse: @escaping @Sendable () -> Void = {}
    ) {
        let hasEnded = queue.withLock { queue in
            if !queue.hasEnded { queue.commands.append(Command(work: work, refuse: refuse)) }
            return queue.hasEnded
        }
        if hasEnded { refuse() } else { rouse() }
    }

    private func run(_ preparation: consuming ArenaPreparation, _ start: Start) {
        thread_prefer_latency()
        do throws(ArenaError) {
            try work(preparation, start)
        } catch {
            drop()
            callbacks.events([.failed(error)])
        }
    }

    /// Refuses what has come since, and what comes.
    private func drop() {
        let (commands, orders) = queue.withLock { queue in
            defer { (queue.commands, queue.orders) = ([], []) }
            queue.hasEnded = true
            queue.isWaiting = false
            return (queue.commands, queue.orders)
        }
        for command in commands { command.refuse() }
        for case .add(let sockets) in orders {
            for (client, upstream) in sockets.values {
                close(client)
                close(upstream)
            }
        }
    }

    /// Prepares the arena until it is to be taken.
    ///
    /// - Returns: how the owner before has ended; `nil`: the loop is to end, and has nothing.
    private func wait(_ preparation: inout ArenaPreparation) -> FormerEnd.Kind? {
        while true {
            let (orders, isStopping) = queue.withLock { queue in
                defer {
                    queue.orders = []
                    queue.isAwake = false
                }
                if queue.isStopping { queue.isWaiting = false }
                for case .take in queue.orders { queue.isWaiting = false }
                return (queue.orders, queue.isStopping)
            }
            var former: FormerEnd.Kind?
            for order in orders {
                switch order {
                case .add(let sockets):
                    for (name, pair) in sockets { preparation.add(name, client: pair.client, upstream: pair.upstream) }
                case .remove(let slots): for name in slots { preparation.remove(name) }
                case .answer(let answer): answer()
                case .tellOwner(let answer): answer(preparation.owner)
                case .take(let kind): former = kind
                }
            }
            if former != nil { return former }
            if isStopping { return nil }
            var polled = pollfd(fd: wake, events: Int16(POLLIN), revents: 0)
            _ = poll(&polled, 1, -1)
            var count: UInt64 = 0
            _ = read(wake, &count, 8)
        }
    }

    /// How many sessions are taken over at once.
    private static let portion = 64

    private func work(_ preparation: consuming ArenaPreparation, _ start: Start) throws(ArenaError) {
        guard let kind = wait(&preparation) else {
            preparation.abandon()
            drop()
            callbacks.events([.stopped(at: MonotonicTime.now)])
            return
        }
        let former = FormerEnd(kind, owner: preparation.owner)
        var engine = try Engine(
            taking: preparation, as: start.owner, after: former, limits: start.limits, portion: Self.portion,
            keep: callbacks.keep, respond: callbacks.respond)
        callbacks.events([.started])
        tell(&engine)
        while true {
            // Before the commands are taken, so that one that comes after them wakes the loop again.
            if engine.takeRousing() {
                var count: UInt64 = 0
                _ = read(wake, &count, 8)
            }
            let (commands, isStopping) = queue.withLock { queue in
                defer {
                    queue.commands = []
                    queue.isAwake = false
                    if queue.isStopping { queue.hasEnded = true }
                }
                return (queue.commands, queue.isStopping)
            }
            for command in commands {
                command.work(&engine)
                // A slot's former sockets are released before it is said to have others.
                tell(&engine)
            }
            if isStopping { break }
            engine.step(waiting: -1)
            tell(&engine)
        }
        engine.relinquish()
        callbacks.events([.stopped(at: MonotonicTime.now)])
        // To let go of thousands of sessions takes longer than to hand them over, and is nothing that the next owner should
        // have to wait for.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
    }

    private func tell(_ engine: inout Engine) {
        let released = engine.takeReleased()
        if !released.isEmpty { callbacks.released(released) }
        let events = engine.takeEvents()
        if !events.isEmpty { callbacks.events(events) }
    }
}
