internal import CSessionArena
internal import Glibc
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

        package init(
            events: @escaping @Sendable ([SessionEvent]) -> Void,
            keep: @escaping @Sendable ([SessionSockets]) -> Void = { _ in },
            released: @escaping @Sendable ([SlotName]) -> Void = { _ in }
        ) {
            self.events = events
            self.keep = keep
            self.released = released
        }
    }

    /// How the engine comes to its arena.
    package struct Start: Sendable {
        /// The arena's descriptor, which stays the caller's.
        package var arena: CInt
        /// A number that no other owner has or had; not 0.
        package var owner: UInt64
        package var former: FormerEnd
        /// The sockets of sessions that live in the arena; they are the engine's from then on.
        package var sockets: [SlotName: (client: CInt, upstream: CInt)]
        package var limits: SessionLimits

        package init(
            arena: CInt, owner: UInt64, former: FormerEnd = .relinquished,
            sockets: [SlotName: (client: CInt, upstream: CInt)] = [:], limits: SessionLimits = SessionLimits()
        ) {
            self.arena = arena
            self.owner = owner
            self.former = former
            self.sockets = sockets
            self.limits = limits
        }
    }

    private struct Command {
        let work: @Sendable (inout Engine) -> Void
        /// What is done in its place if the loop has ended.
        let refuse: @Sendable () -> Void
    }

    private struct Queue {
        var commands: [Command] = []
        /// The thread has been woken for these, and need not be again.
        var isAwake = false
        var isStopping = false
        /// Nobody takes commands any more.
        var hasEnded = false
    }

    private let queue = Mutex(Queue())
    private let wake: CInt
    private let callbacks: Callbacks

    /// Starts the thread. `SessionEvent.started` or `.failed` is the first event.
    package init(_ start: Start, _ callbacks: Callbacks) throws(ArenaError) {
        self.callbacks = callbacks
        wake = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard wake >= 0 else { throw .noMemory(errno) }
        let work = Unmanaged.passRetained(Work { [self] in run(start) })
        var thread = pthread_t()
        let failed = pthread_create(
            &thread, nil,
            { pointer in
                Unmanaged<Work>.fromOpaque(pointer!).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        guard failed == 0 else {
            work.release()
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

    /// Resets both sides of sessions at once. Those that there are not are passed over.
    package func reset(_ numbers: [UInt64]) { submit { engine in engine.reset(numbers) } }

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

    /// How many sessions live.
    package func count(_ answer: @escaping @Sendable (Int) -> Void) {
        submit { engine in
            answer(engine.sessionCount)
        } orElse: {
            answer(0)
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

    /// Replaces sessions' idle limits, in milliseconds; 0: none.
    package func setIdleLimits(_ limits: [(number: UInt64, milliseconds: UInt32)]) {
        submit { engine in for limit in limits { engine.setIdleLimit(limit.number, limit.milliseconds) } }
    }

    /// Replaces what all sessions keep to, and after how many records each is due to move (0: never).
    package func setLimits(_ limits: SessionLimits, moveEvery: UInt32) {
        submit { engine in engine.setLimits(limits, moveEvery: moveEvery) }
    }

    /// Has the engine relinquish its arena between two events and its thread end. Its sessions stay in the arena, for
    /// another owner. `SessionEvent.stopped` is the last event.
    package func stop() {
        queue.withLock { $0.isStopping = true }
        submit { _ in }
    }

    // MARK: The thread

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// - Parameter refuse: called in place of `work` if the loop has ended, on this thread or its own.
    private func submit(
        _ work: @escaping @Sendable (inout Engine) -> Void, orElse refuse: @escaping @Sendable () -> Void = {}
    ) {
        let (hasEnded, mustWake) = queue.withLock { queue in
            guard !queue.hasEnded else { return (true, false) }
            queue.commands.append(Command(work: work, refuse: refuse))
            defer { queue.isAwake = true }
            return (false, !queue.isAwake)
        }
        if hasEnded { refuse() }
        if mustWake {
            var one: UInt64 = 1
            _ = write(wake, &one, 8)
        }
    }

    private func run(_ start: Start) {
        do throws(ArenaError) {
            try work(start)
            callbacks.events([.stopped])
        } catch {
            drop()
            callbacks.events([.failed(error)])
        }
    }

    private func drop() {
        let commands = queue.withLock { queue in
            defer { queue.commands = [] }
            queue.hasEnded = true
            return queue.commands
        }
        for command in commands { command.refuse() }
    }

    private func work(_ start: Start) throws(ArenaError) {
        var unused = start.sockets
        func closeUnused(resetting: Bool) {
            for (client, upstream) in unused.values {
                for descriptor in [client, upstream] {
                    if resetting { stream_reset(descriptor) }
                    close(descriptor)
                }
            }
            unused = [:]
        }
        // Of an arena that could not be had.
        defer { closeUnused(resetting: true) }
        var engine = try Engine(
            taking: Arena(mapping: start.arena), as: start.owner, after: start.former, limits: start.limits,
            wakeable: wake, sockets: { unused.removeValue(forKey: $0) }, keep: callbacks.keep)
        // Of sessions that ended before anybody was told.
        closeUnused(resetting: false)
        callbacks.events([.started(adopted: engine.list(after: nil, limit: .max), lost: engine.lost)])
        tell(&engine)
        while true {
            engine.step(waiting: -1)
            tell(&engine)
            // Before the commands are taken, so that one that comes after them wakes the loop again.
            var count: UInt64 = 0
            _ = read(wake, &count, 8)
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
            if isStopping { return }
        }
    }

    private func tell(_ engine: inout Engine) {
        let released = engine.takeReleased()
        if !released.isEmpty { callbacks.released(released) }
        let events = engine.takeEvents()
        if !events.isEmpty { callbacks.events(events) }
    }
}
