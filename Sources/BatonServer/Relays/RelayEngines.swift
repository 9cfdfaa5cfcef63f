internal import BatonConfiguration
internal import BatonCore
internal import Libc
internal import NIOCore
internal import SessionEngine
internal import Synchronization

/// The engines of a worker. Each has one arena, which the keeper knows as an estate and both call by its number: the worker's
/// own, and those that have come to it from another worker that has died or been replaced. Used on the worker's event loop
/// only.
final class RelayEngines {
    /// How an engine has come to what its arena holds.
    struct Origin {
        /// When the owner before has relinquished it, on the monotonic clock in nanoseconds; `nil`: that has died.
        let yieldedAt: UInt64?
        /// Sessions that it may have, until they are taken over.
        fileprivate(set) var offered: Set<SlotName> = []
    }

    /// What new relays go to.
    enum Home {
        case engine(UInt32, SessionLoop)
        /// An arena with room for them is on its way.
        case coming
        /// There is no memory for one.
        case none(String)
    }

    /// An arena that is not this worker's yet.
    /// Arenas that their owners may be about to relinquish, although no keeper is there to say so.
    private var looking: Set<UInt32> = []

    private struct Arrival {
        /// The engine that waits for it, or why there is none.
        let engine: Result<SessionLoop, ArenaError>
        /// Of sessions that no engine waits for.
        var sockets: [SlotName: (client: CInt, upstream: CInt)] = [:]
        var offered: Set<SlotName> = []
        /// Sessions for whose sockets this process has no room.
        var lacking: [SlotName] = []

        var hasEngine: Bool { if case .success = engine { true } else { false } }
    }

    /// How long new relays wait for an arena that is on its way. It is not kept waiting for longer than its sessions are, unless
    /// its owner does not answer.
    private static let patience = TimeAmount.milliseconds(250)

    private let loop: any EventLoop
    private let heard: ([SessionEvent], UInt32) -> Void
    /// An engine is about to relinquish its arena: what is to be known of its sessions is asked now.
    private let yielding: (UInt32, SessionLoop) -> Void
    private var engines: [UInt32: SessionLoop] = [:]
    private var origins: [UInt32: Origin] = [:]
    private var arriving: [UInt32: Arrival] = [:]
    private var home: UInt32?
    /// The worker's number, by which its first own arena is called.
    private var number: UInt32 = 0
    private var ownCount: UInt32 = 0
    private var waiting: [() -> Void] = []
    /// What holds before the configuration has come leaves nothing untold.
    private var limits: SessionLimits = {
        var limits = SessionLimits()
        limits.describesEnds = true
        return limits
    }()
    private let page = BuiltInPage()
    private var moveEvery: UInt32 = 0
    private var slotCount = 0
    private var extentCount = 0

    /// Numbers of workers are below this; what is above counts the arenas of one.
    private static let ownNumbers: UInt32 = 1 << 24
    private static let maxOwn = UInt32.max / ownNumbers

    init(
        on loop: any EventLoop, heard: @escaping ([SessionEvent], UInt32) -> Void,
        yielding: @escaping (UInt32, SessionLoop) -> Void
    ) {
        self.loop = loop
        self.heard = heard
        self.yielding = yielding
    }

    func start(worker number: UInt32) {
        self.number = number
        page.worker.store(number, ordering: .relaxed)
    }

    func use(_ configuration: Configuration) {
        limits.bufferSize = configuration.limits.bufferSize
        limits.headSize = configuration.limits.headerSize
        limits.describesEnds = configuration.accessLog != nil || configuration.admin != nil
        moveEvery = UInt32(clamping: configuration.moveEvery)
        slotCount = configuration.limits.relaySlots
        extentCount = configuration.limits.relayExtents
        applyLimits()
    }

    /// Whether the built-in page answers each connection once more at the most.
    func end(_ isEnding: Bool) {
        guard limits.isEnding != isEnding else { return }
        limits.isEnding = isEnding
        applyLimits()
    }

    private func applyLimits() {
        for engine in engines.values { engine.setLimits(limits, moveEvery: moveEvery) }
    }

    var all: [SessionLoop] { Array(engines.values) }

    var numbered: [UInt32: SessionLoop] { engines }

    subscript(number: UInt32) -> SessionLoop? { engines[number] }

    func origin(of number: UInt32) -> Origin? { origins[number] }

    // MARK: Where new relays go

    /// What new relays go to. The worker's own arena is made when there is nothing else.
    ///
    /// - Parameter refusing: an engine that has refused one.
    func home(otherThan refusing: UInt32? = nil) -> Home {
        if let home, home != refusing, let engine = engines[home] { return .engine(home, engine) }
        if refusing == nil, home == nil, arriving.values.contains(where: { $0.hasEngine }) { return .coming }
        if let refusing, refusing % Self.ownNumbers == number, engines[refusing] != nil {
            return .none("the memory for connections is used up")
        }
        return makeHome()
    }

    /// Calls `done` when what is coming has come, or has let itself be waited for long enough.
    func awaitHome(_ done: @escaping () -> Void) {
        waiting.append(done)
        guard waiting.count == 1 else { return }
        let engines = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: Self.patience) {
            guard !engines.value.waiting.isEmpty else { return }
            if engines.value.home == nil { _ = engines.value.makeHome() }
            engines.value.endWaiting()
        }
    }

    private func endWaiting() {
        let all = waiting
        waiting = []
        for done in all { done() }
    }

    private func makeHome() -> Home {
        guard ownCount < Self.maxOwn else { return .none("this worker has made too many arenas; end it") }
        let own = number + ownCount * Self.ownNumbers
        do throws(ArenaError) {
            let arena = try Arena.make(slotCount: slotCount, extentCount: extentCount)
            defer { close(arena) }
            WorkerKeeperLink.say(EstateMessage(.arena, own), [arena])
            let engine = try makeEngine(own, arena, after: .relinquished)
            ownCount += 1
            engines[own] = engine
            home = own
            return .engine(own, engine)
        } catch {
            return .none("\(error)")
        }
    }

    // MARK: Engines

    private func makeEngine(
        _ number: UInt32, _ arena: CInt, after former: FormerEnd?
    ) throws(ArenaError) -> SessionLoop {
        let engines = NIOLoopBound(self, eventLoop: loop)
        let owner = UInt64(UInt32(bitPattern: getpid())) << 32 | UInt64(UInt32.random(in: 1...UInt32.max))
        return try SessionLoop(
            .init(arena: arena, owner: owner, former: former, limits: limits),
            .init(
                events: { [loop] events in
                    // The next owner waits for this.
                    if case .stopped(let moment) = events.last { Self.sayYielded(number, at: moment) }
                    loop.execute { engines.value.hear(events, number) }
                },
                keep: { sessions in
                    for first in stride(from: 0, to: sessions.count, by: EstateMessage.maxSessions) {
                        let some = sessions[first..<min(first + EstateMessage.maxSessions, sessions.count)]
                        WorkerKeeperLink.say(
                            EstateMessage(.keep, number, some.map { .init($0.slot) }),
                            some.flatMap { [$0.client, $0.upstream] })
                    }
                },
                released: { Self.say(.release, $0, of: number) },
                respond: { [page] question in page.answer(question) }))
    }

    private static func sayYielded(_ number: UInt32, at moment: UInt64) {
        WorkerKeeperLink.say(EstateMessage(.yielded, number, [.init(slot: 0, generation: moment)]))
    }

    private static func say(_ kind: EstateMessage.Kind, _ slots: [SlotName], of engine: UInt32) {
        for first in stride(from: 0, to: slots.count, by: 1_000) {
            let some = slots[first..<min(first + 1_000, slots.count)]
            WorkerKeeperLink.say(EstateMessage(kind, engine, some.map { .init($0) }))
        }
    }

    private func hear(_ events: [SessionEvent], _ number: UInt32) {
        // An engine that was withdrawn has nothing to tell.
        guard engines[number] != nil else { return }
        heard(events, number)
        switch events.last {
        case .stopped: remove(number)
        case .failed: giveUp(number)
        default:
            let isSettled = events.contains { if case .settled = $0 { true } else { false } }
            if isSettled { origins[number]?.offered = [] }
            let hasEnded = events.contains { if case .ended = $0 { true } else { false } }
            if isSettled || hasEnded { endIfEmpty(number) }
        }
    }

    private func remove(_ number: UInt32) {
        engines[number] = nil
        origins[number] = nil
        if home == number { home = nil }
    }

    /// No engine can have an arena: nobody goes on with what is in it, so that the keeper resets the sessions and lets the
    /// memory go, with the secrets in it.
    private func giveUp(_ number: UInt32) {
        Self.say(.lost, Array(origins[number]?.offered ?? []), of: number)
        Self.sayYielded(number, at: MonotonicTime.now)
        remove(number)
    }

    /// Ends an engine that has no relays left and is not the one that new ones go to. Its memory goes back: the keeper hears that
    /// it is relinquished, and has nothing in it to hand on.
    func endIfEmpty(_ number: UInt32) {
        guard number != home, let engine = engines[number] else { return }
        let engines = NIOLoopBound(self, eventLoop: loop)
        engine.count { [loop] count in
            guard count == 0 else { return }
            loop.execute { engines.value.end(number) }
        }
    }

    private func end(_ number: UInt32) {
        guard number != home else { return }
        engines[number]?.stop()
    }

    // MARK: What the keeper says

    /// - Parameter descriptors: are taken over.
    func hear(_ message: EstateMessage, _ descriptors: [CInt]) {
        let number = message.number
        switch message.kind {
        case .arena:
            if let arena = descriptors.first {
                expect(number, arena: arena)
            } else {
                if arriving[number] != nil { withdraw(number) }
                arriving[number] = Arrival(engine: .failure(.noMemory(EMFILE)))
            }
        case .keep:
            // The last descriptors are for the engine, and for a link to another front.
            let names = message.entries.map { SlotName($0) }
            if descriptors.isEmpty || descriptors.contains(where: { $0 >= DescriptorLimit.reserve.highest }) {
                for descriptor in descriptors { close(descriptor) }
                arriving[number]?.offered.formUnion(names)
                arriving[number]?.lacking += names
                return
            }
            var sockets: [SlotName: (client: CInt, upstream: CInt)] = [:]
            for (index, entry) in message.entries.enumerated() {
                sockets[SlotName(entry)] = (descriptors[2 * index], descriptors[2 * index + 1])
            }
            expect(number, sockets)
        case .release: forget(number, message.entries.map { SlotName($0) })
        case .prepare: prepare(number)
        case .withdraw: withdraw(number)
        case .begin:
            guard let entry = message.entries.first, let end = Estate.End(rawValue: UInt8(clamping: entry.slot)) else {
                return
            }
            begin(number, end, yieldedAt: entry.generation)
        case .yield:
            try? FaultPoint.reach("yield")
            // Without a keeper nobody would be told that it is to go on.
            guard WorkerKeeperLink.isThere else { return }
            if let engine = engines[number] {
                if home == number { home = nil }
                yielding(number, engine)
                engine.stop()
            } else {
                Self.sayYielded(number, at: MonotonicTime.now)
            }
        case .prepared, .yielded, .lost: break
        }
    }

    // MARK: Without a keeper

    /// How long it is looked whether an owner relinquishes its arena that may have been told to.
    private static let keeperlessWait = Duration.seconds(3)
    private static let lookInterval = TimeAmount.milliseconds(10)

    /// Whether something may still come that its owner has relinquished, or has come and is not counted yet.
    var isLooking: Bool { !looking.isEmpty || origins.values.contains { !$0.offered.isEmpty } }

    /// The keeper is gone, and what it was about to say does not come. An owner that it has told to yield has done so, or does it now:
    /// who has prepared takes what nobody has, because the owner does not take it back.
    ///
    /// - Parameter done: called when that has been looked for, perhaps several times.
    func keeperEnded(_ done: @escaping () -> Void) {
        let deadline = Deadline.after(Self.keeperlessWait)
        for number in arriving.keys {
            looking.insert(number)
            look(number, until: deadline, done)
        }
        // What has been taken by then is counted.
        let done = NIOLoopBound(done, eventLoop: loop)
        loop.scheduleTask(in: Self.keeperlessWait.timeAmount) { done.value() }
    }

    private func look(_ number: UInt32, until deadline: Deadline, _ done: @escaping () -> Void) {
        guard case .success(let engine) = arriving[number]?.engine else { return endLooking(number, done) }
        let own = NIOLoopBound((engines: self, done: done), eventLoop: loop)
        engine.owner { [loop] owner in
            loop.execute {
                let (engines, done) = own.value
                if owner == 0 {
                    engines.begin(number, .yielded, yieldedAt: MonotonicTime.now)
                    // Its sessions are not counted yet.
                    engines.loop.scheduleTask(in: Self.keeperlessWait.timeAmount) {
                        own.value.engines.endLooking(number, own.value.done)
                    }
                } else if deadline.hasPassed {
                    engines.withdraw(number)
                    engines.endLooking(number, done)
                } else {
                    engines.loop.scheduleTask(in: Self.lookInterval) {
                        own.value.engines.look(number, until: deadline, own.value.done)
                    }
                }
            }
        }
    }

    private func endLooking(_ number: UInt32, _ done: () -> Void) {
        guard looking.remove(number) != nil, looking.isEmpty else { return }
        done()
    }

    private func expect(_ number: UInt32, arena: CInt) {
        defer { close(arena) }
        if arriving[number] != nil { withdraw(number) }
        do throws(ArenaError) {
            arriving[number] = Arrival(engine: .success(try makeEngine(number, arena, after: nil)))
        } catch {
            arriving[number] = Arrival(engine: .failure(error))
        }
    }

    private func expect(_ number: UInt32, _ sockets: [SlotName: (client: CInt, upstream: CInt)]) {
        arriving[number]?.offered.formUnion(sockets.keys)
        if case .success(let engine) = arriving[number]?.engine { return engine.expect(sockets) }
        if arriving[number] == nil { return Self.drop(sockets) }
        arriving[number]?.sockets.merge(sockets) { $1 }
    }

    private func forget(_ number: UInt32, _ slots: [SlotName]) {
        arriving[number]?.offered.subtract(slots)
        if case .success(let engine) = arriving[number]?.engine { return engine.forget(slots) }
        for name in slots {
            if let pair = arriving[number]?.sockets.removeValue(forKey: name) {
                Self.drop([name: pair])
            }
        }
    }

    private func prepare(_ number: UInt32) {
        @Sendable func say(_ isPrepared: Bool) {
            WorkerKeeperLink.say(EstateMessage(.prepared, number, [.init(slot: isPrepared ? 1 : 0, generation: 0)]))
        }
        guard let arrival = arriving[number], arrival.lacking.isEmpty, case .success(let engine) = arrival.engine,
            (try? FaultPoint.reach("prepare")) != nil
        else {
            return say(false)
        }
        engine.prepared { say(true) }
    }

    private func withdraw(_ number: UInt32) {
        guard let arrival = arriving.removeValue(forKey: number) else { return }
        if case .success(let engine) = arrival.engine { engine.stop() }
        Self.drop(arrival.sockets)
        endWaiting()
    }

    private func begin(_ number: UInt32, _ end: Estate.End, yieldedAt: UInt64) {
        guard let arrival = arriving.removeValue(forKey: number) else { return }
        Self.say(.lost, arrival.lacking, of: number)
        origins[number] = Origin(yieldedAt: end == .yielded ? yieldedAt : nil, offered: arrival.offered)
        switch arrival.engine {
        case .success(let engine):
            engines[number] = engine
            engine.setLimits(limits, moveEvery: moveEvery)
            engine.take(after: end.kind)
            if home == nil { home = number }
        case .failure(let error):
            Self.drop(arrival.sockets)
            heard([.failed(error)], number)
            giveUp(number)
        }
        endWaiting()
    }

    /// Closes sockets that the keeper still has.
    private static func drop(_ sockets: [SlotName: (client: CInt, upstream: CInt)]) {
        for (client, upstream) in sockets.values {
            close(client)
            close(upstream)
        }
    }
}

extension Estate.End {
    fileprivate var kind: FormerEnd.Kind {
        switch self {
        case .killed: .killed
        case .fault: .fault
        case .yielded: .relinquished
        }
    }
}

extension EstateMessage.Entry {
    fileprivate init(_ name: SlotName) { self.init(slot: UInt32(name.slot), generation: name.generation) }
}

extension SlotName {
    fileprivate init(_ entry: EstateMessage.Entry) {
        self.init(slot: Int(entry.slot), generation: entry.generation)
    }
}
