internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import HostMigration
internal import Libc
internal import Logging
internal import NIOCore
internal import SessionEngine
internal import TLSRecords

/// The sessions of a worker of which all sides are connected: relays, echoes and the built-in page's. The engine serves them on a thread of its own,
/// in memory that outlives the worker; here is what the worker counts and finds them by. Used on the worker's event loop only.
final class Relays {
    /// What the worker hears of them, on its event loop.
    enum Event {
        case arrived(IPAddress?)
        /// It is over, or goes to another owner.
        case left(IPAddress?, isElsewhere: Bool)
        /// One is over, for this reason. The record is there if it is asked for.
        case over(SessionOutcome, Entry, AccessRecord.End, AccessRecord?)
        /// One that another worker has left is lost.
        case lost(AccessRecord)
        /// So much has passed since this was told last.
        case passed(Traffic)
        /// These have received as many records as `move-every` says, and stand still until they are taken or go on.
        case due([UInt64])
        /// One cannot begin, for this reason.
        case refused(String, Logger.Metadata, AccessRecord)
        /// The engine has no memory to work in.
        case failed(String)
        /// These have come from a worker that lives, with their memory, and stood still for so long, in nanoseconds.
        case came(pauses: [UInt64])
        /// So many have gone to another worker with their memory.
        case went(Int)
        /// What a worker has left is served: so many relays go on here, and these are lost, by the reason.
        ///
        /// - Parameter hasDied: whether that worker has died.
        case inherited(Int, lost: [String: Int], hasDied: Bool)
    }

    /// What is known of one here.
    struct Entry {
        let peer: Endpoint?
        let listener: String?
        let target: String
        let route: String?
        let upstream: String?
        /// As far as it has been told.
        fileprivate var counted = SessionCounts()
        /// Its `logID`, as a number.
        private let name: UInt64?
        /// Which address of the upstream it goes to; `nil`: it is no relay, or an older version began it.
        let place: UpstreamPlace?
        /// When its client was accepted, in milliseconds of the wall clock.
        fileprivate let acceptedAt: UInt64?
        /// The sweep of a drain that has last asked for it.
        fileprivate let sweep: [UInt8]?
        /// The number of its engine.
        fileprivate var engine: UInt32
        /// It is being taken out.
        fileprivate var isLeaving = false
        /// An engine has refused it.
        fileprivate var isRefused = false

        fileprivate init(_ metadata: ParcelMetadata, in engine: UInt32) {
            self.engine = engine
            peer = metadata.source
            name = metadata.logID.flatMap { UInt64($0, radix: 16) }
            listener = metadata.listener
            target = metadata.target.map { "\($0)" } ?? ""
            sweep = metadata.annotations[SessionAnnotation.sweep]
            route = metadata.route
            upstream = if case .upstream(let name)? = metadata.target { name } else { nil }
            acceptedAt = metadata.acceptedAt
            if case .upstream(let name)? = metadata.target, let address = metadata.upstreamPlace {
                place = UpstreamPlace(upstream: name, address: address)
            } else {
                place = nil
            }
        }

        var source: IPAddress? { peer.map { ConnectionLimits.group(of: $0.address) } }

        /// What names a side of it in a log.
        func names(_ side: SessionSide) -> Logger.Metadata {
            var names: Logger.Metadata = [:]
            names["connection"] = name.map { number in
                let digits = String(number, radix: 16)
                return "\(String(repeating: "0", count: 16 - digits.count))\(digits)"
            }
            names["listener"] = listener.map { "\($0)" }
            names["peer"] = peer.map { "\($0)" }
            if side == .upstream { names["upstream"] = "\(target)" }
            return names
        }
    }

    /// One that was taken out, as a parcel.
    struct Taken {
        let number: UInt64
        let box: ParcelBox
    }

    private let loop: any EventLoop
    private var configuration = Configuration()
    private let told: (Event) -> Void
    private var entries: [UInt64: Entry] = [:]
    /// How many go to each address of an upstream.
    private(set) var places: [UpstreamPlace: Int] = [:]
    private lazy var engines = RelayEngines(on: loop) { [unowned self] events, engine in
        heard(events, engine)
    } yielding: { [unowned self] number, engine in
        count(engine, number)
    }
    /// Those that wait for an engine to begin in.
    private var waiting: [(box: ParcelBox, state: SessionState)] = []
    /// What each engine has taken over so far.
    private var inherited: [UInt32: (count: Int, lost: [String: Int])] = [:]
    private var isStarted = false
    /// What waits for the configuration.
    private var untilStart: [() -> Void] = []

    init(on loop: any EventLoop, told: @escaping (Event) -> Void) {
        self.loop = loop
        self.told = told
    }

    /// What another worker has left may be here before that; relays of this one's own begin after it.
    func start(worker number: Int, _ configuration: Configuration) {
        engines.start(worker: UInt32(truncatingIfNeeded: number))
        isStarted = true
        use(configuration)
        let all = untilStart
        untilStart = []
        for task in all { task() }
    }

    // MARK: Which there are

    private func add(_ number: UInt64, _ entry: Entry) {
        remove(number)
        entries[number] = entry
        if let place = entry.place { places[place, default: 0] += 1 }
    }

    @discardableResult
    private func remove(_ number: UInt64) -> Entry? {
        guard let entry = entries.removeValue(forKey: number) else { return nil }
        if let place = entry.place {
            let count = places[place, default: 1] - 1
            places[place] = count > 0 ? count : nil
        }
        return entry
    }

    /// Ends those that are older than their upstream's `max-lifetime`, by a reset of both sides: neither has ended.
    ///
    /// - Parameter now: the wall clock in milliseconds.
    /// - Returns: how many.
    func endOld(at now: UInt64) -> Int {
        let limits = configuration.upstreams.compactMapValues(\.maxLifetime)
        guard !limits.isEmpty else { return 0 }
        let old = entries.filter { _, entry in
            guard !entry.isLeaving, let accepted = entry.acceptedAt, let limit = limits[entry.target] else {
                return false
            }
            return Lifetime.isOver(
                acceptedAt: accepted, limit: limit, chance: entry.peer.map { "\($0)" } ?? "", at: now)
        }
        for (engine, numbers) in Dictionary(grouping: old.keys, by: { entries[$0]?.engine ?? 0 }) {
            engines[engine]?.reset(numbers)
        }
        return old.count
    }

    /// Those that are here, and those that are being taken out.
    var count: Int { entries.count + waiting.count }

    func isHere(_ number: UInt64) -> Bool { entries[number]?.isLeaving == false }

    func count(after number: UInt64) -> Int { entries.keys.count { $0 > number } }

    /// Where they come from, each as often as there are relays of it.
    var sources: [IPAddress?] { entries.values.map(\.source) }

    /// At most so many that are here and not among `others`, whichever.
    func numbers(upTo count: Int, without others: Set<UInt64> = []) -> [UInt64] {
        Array(
            entries.lazy.filter { !$0.value.isLeaving && !others.contains($0.key) }.prefix(max(0, count)).map(\.key))
    }

    /// Those that this sweep of a drain has not asked for.
    func numbers(withoutSweep mark: [UInt8]) -> [UInt64] {
        entries.filter { !$0.value.isLeaving && $0.value.sweep != mark }.map(\.key)
    }

    /// What there is to tell of one.
    struct Listed {
        let number: UInt64
        var note: RelayNote
        let counts: SessionCounts

        init?(_ summary: SessionSummary) {
            guard let note = RelayNote(summary.note) else { return nil }
            number = summary.number
            // What the connection had passed before, as the access log counts it.
            counts = (note.metadata.traffic ?? summary.before) &+ summary.counts
            self.note = note
            self.note.metadata.moves &+= summary.handovers
        }
    }

    /// At most `limit` whose numbers are above `number`, in their order.
    func list(after number: UInt64, limit: Int, _ answer: @escaping ([Listed]) -> Void) {
        let all = engines.all
        guard limit > 0, !all.isEmpty, !entries.isEmpty else { return answer([]) }
        let found = NIOLoopBound(Gathering<Listed>(from: all.count, answer), eventLoop: loop)
        for engine in all {
            engine.list(after: number, limit: limit) { [loop] summaries in
                loop.execute { found.value.add(summaries.compactMap(Listed.init)) }
            }
        }
    }

    /// Which there are, by the engine that serves them.
    var numbersByEngine: [UInt32: [UInt64]] {
        Dictionary(grouping: entries.keys) { entries[$0]?.engine ?? 0 }
    }

    /// Those of an engine's that it has still.
    func list(_ numbers: [UInt64], in engine: UInt32, _ answer: @escaping ([Listed]) -> Void) {
        guard let engine = engines[engine] else { return answer([]) }
        let answer = NIOLoopBound(answer, eventLoop: loop)
        engine.list(numbers) { [loop] summaries in
            loop.execute { answer.value(summaries.compactMap(Listed.init)) }
        }
    }

    // MARK: Coming

    /// Makes a relay of a parcel with two connections, or of one what its target says.
    func begin(_ parcel: consuming Parcel, _ state: SessionState) {
        // A relay has no channel that would take it out: it would go from owner to owner.
        parcel.metadata.annotations[ConnectionHandler.Annotation.suspendedAt] = nil
        switch engines.home() {
        case .engine(let number, let engine): begin(parcel, state, in: number, engine)
        case .coming:
            waiting.append((ParcelBox(parcel), state))
            guard waiting.count == 1 else { return }
            engines.awaitHome { [self] in
                let all = waiting
                waiting = []
                for (box, state) in all { if let parcel = box.take() { begin(parcel, state) } }
            }
        case .none(let reason):
            let names = Entry(parcel.metadata, in: 0).names(.client)
            let record = AccessRecord(
                note(of: parcel), .notServed, detail: "there is no engine for it")
            // No side has ended, so none may see an end in order.
            for descriptor in parcel.sockets.takeAll() { SocketReset.close(descriptor) }
            told(.failed(reason))
            told(.refused("there is no engine for it", names, record))
        }
    }

    private func begin(
        _ parcel: consuming Parcel, _ state: SessionState, in engineNumber: UInt32, _ engine: SessionLoop
    ) {
        let metadata = parcel.metadata
        let entry = Entry(metadata, in: engineNumber)
        let number = Session.nextNumber()
        let idleTime = metadata.idleFor / 1_000_000
        let known = self.note(of: parcel)
        func refuse(_ reason: String) {
            told(.refused(reason, entry.names(.client), AccessRecord(known, .notServed, detail: reason)))
        }
        guard let note = try? known.encoded() else {
            for descriptor in parcel.sockets.takeAll() { SocketReset.close(descriptor) }
            return refuse("what is known of it is too long")
        }
        guard var session = SessionAtRest(number: number, parcel, state, note: note) else {
            return refuse("it is no session that can be taken")
        }
        session.idleLimit = idleLimit(entry.listener)
        session.bandwidth = bandwidth(entry.listener)
        session.idleTime = idleTime
        session.moveEvery = moveEvery
        add(number, entry)
        told(.arrived(entry.source))
        begin(SessionParcel(session), in: engine)
    }

    private func begin(_ parcel: SessionParcel, in engine: SessionLoop) {
        let relays = NIOLoopBound(self, eventLoop: loop)
        engine.begin([parcel]) { [loop] failed in
            guard !failed.isEmpty else { return }
            loop.execute {
                for (parcel, error) in failed { relays.value.refused(parcel, error) }
            }
        }
    }

    private func refused(_ parcel: SessionParcel, _ error: BeginError) {
        if var entry = entries[parcel.number], !entry.isRefused, error == .noRoom || error == .stopped,
            case .engine(let number, let engine) = engines.home(otherThan: entry.engine)
        {
            // What another worker has made may be smaller than what this one makes, or has gone to a third.
            entry.isRefused = true
            entry.engine = number
            entries[parcel.number] = entry
            return begin(parcel, in: engine)
        }
        var record = AccessRecord(RelayNote(ParcelMetadata(), nil), .notServed, detail: "\(error)")
        if let session = parcel.take() {
            if let note = RelayNote(session.note) { record = AccessRecord(note, .notServed, detail: "\(error)") }
            SocketReset.close(session.client.descriptor)
            if session.kind == .relay { SocketReset.close(session.upstream.descriptor) }
        }
        guard let entry = remove(parcel.number) else { return }
        told(.left(entry.source, isElsewhere: false))
        told(.refused("\(error)", entry.names(.client), record))
    }

    private func note(of parcel: borrowing Parcel) -> RelayNote {
        RelayNote(parcel.metadata, parcel.info, tellsSubject: configuration.accessLog != nil)
    }

    // MARK: Going

    /// Takes relays out. Those that are about to end stay, and so do those that are not here.
    func take(_ numbers: [UInt64], _ answer: @escaping ([Taken]) -> Void) {
        let parts = Dictionary(grouping: numbers.filter(isHere)) { entries[$0]!.engine }
        guard !parts.isEmpty else { return answer([]) }
        let found = NIOLoopBound((self, Gathering(from: parts.count, answer)), eventLoop: loop)
        for (engine, numbers) in parts {
            guard let extracting = engines[engine] else {
                // Its relays are about to begin in another engine.
                found.value.1.add([])
                continue
            }
            for number in numbers { entries[number]?.isLeaving = true }
            extracting.extract(numbers) { [loop] parcels, left in
                loop.execute {
                    let (relays, gathering) = found.value
                    for (number, _) in left { relays.entries[number]?.isLeaving = false }
                    gathering.add(parcels.compactMap(relays.taken))
                    relays.engines.endIfEmpty(engine)
                }
            }
        }
    }

    /// Has those that are due go on here.
    func goOn(_ numbers: [UInt64]) {
        let parts = Dictionary(grouping: numbers.filter(isHere)) { entries[$0]!.engine }
        for (engine, numbers) in parts { engines[engine]?.goOn(numbers) }
    }

    private func taken(_ parcel: SessionParcel) -> Taken? {
        guard var entry = remove(parcel.number) else { return nil }
        told(.left(entry.source, isElsewhere: true))
        guard let session = parcel.take(), let note = RelayNote(session.note) else { return nil }
        var traffic = Traffic()
        entry.count(session.counts, in: &traffic)
        if !traffic.isEmpty { told(.passed(traffic)) }
        var metadata = note.metadata
        metadata.moves &+= session.handovers
        metadata.traffic =
            configuration.accessLog == nil ? nil : (metadata.traffic ?? session.before) &+ session.counts
        metadata.idleFor = session.idleTime * 1_000_000
        metadata.stampDetached()
        return Taken(number: parcel.number, box: ParcelBox(session.parcel(metadata)))
    }

    /// Whether the server is about to end: the built-in page answers each connection once more at the most, and tells those at
    /// once that have asked nothing.
    func end(_ isEnding: Bool) { engines.end(isEnding) }

    /// Ends all: those of one connection in order. Neither side of a relay has ended when it does, so neither may see such an end.
    func closeAll() { for engine in engines.all { engine.closeAll() } }

    /// Ends all at once. What is still on its way then must not look whole.
    func abandon(_ done: @escaping () -> Void) {
        let all = engines.all
        guard !all.isEmpty else { return done() }
        closeAll()
        for engine in all { engine.resetAll() }
        let found = NIOLoopBound(Gathering<Int>(from: all.count) { _ in done() }, eventLoop: loop)
        for engine in all {
            engine.count { [loop] _ in loop.execute { found.value.add([]) } }
        }
    }

    // MARK: The configuration

    /// What holds from now on.
    func use(_ configuration: Configuration) {
        self.configuration = configuration
        engines.use(configuration)
        let parts = Dictionary(grouping: entries.keys) { entries[$0]!.engine }
        for (engine, numbers) in parts { setLimits(of: numbers, in: engine) }
    }

    private func setLimits(of numbers: [UInt64], in engine: UInt32) {
        let limits = numbers.map { number in
            let listener = entries[number]?.listener
            return (number: number, idle: idleLimit(listener), bandwidth: bandwidth(listener))
        }
        if !limits.isEmpty { engines[engine]?.setLimits(of: limits) }
    }

    private var moveEvery: UInt32 { UInt32(clamping: configuration.moveEvery) }

    private func bandwidth(_ listener: String?) -> UInt64 {
        UInt64(listener.flatMap { configuration.listeners[$0] }?.bandwidth ?? 0)
    }

    private func idleLimit(_ listener: String?) -> UInt32 {
        guard let limit = listener.flatMap({ configuration.listeners[$0] })?.idleTime else { return 0 }
        return UInt32(clamping: limit.components.seconds * 1_000 + limit.components.attoseconds / 1_000_000_000_000_000)
    }

    // MARK: What engines tell

    /// The keeper hands on what another worker has, or had.
    ///
    /// - Parameter descriptors: are taken over.
    func hear(_ message: EstateMessage, _ descriptors: [CInt]) { engines.hear(message, descriptors) }

    /// The keeper is gone. `done` is called when all has come that it has let loose, if something has to be waited for.
    func keeperEnded(_ done: @escaping () -> Void) { engines.keeperEnded(done) }

    /// Whether relays may come of which nobody will tell.
    var areExpected: Bool { engines.isLooking }

    private func heard(_ events: [SessionEvent], _ engine: UInt32) {
        var described: SessionSummary?
        var traffic = Traffic()
        var due: [UInt64] = []
        var adopted: [UInt64] = []
        var pauses: [UInt64] = []
        for event in events {
            switch event {
            case .started: inherited[engine] = (0, [:])
            case .adopted(let session, let moment):
                // One whose note cannot be read goes on all the same.
                let note = RelayNote(session.note)
                var entry = Entry(note?.metadata ?? ParcelMetadata(), in: engine)
                entry.counted = session.counts
                add(session.number, entry)
                adopted.append(session.number)
                inherited[engine]?.count += 1
                if let yieldedAt = engines.origin(of: engine)?.yieldedAt {
                    pauses.append(moment > yieldedAt ? moment - yieldedAt : 0)
                    keepAccount(of: session.number, note, pause: pauses.last, in: engine)
                } else {
                    keepAccount(of: session.number, note, pause: nil, in: engine)
                }
                told(.arrived(entry.source))
            case .lost(let session):
                inherited[engine]?.lost["\(session.reason)", default: 0] += 1
                let note = RelayNote(session.note) ?? RelayNote(ParcelMetadata(), nil)
                let record = AccessRecord(note, .workerDied, detail: "\(session.reason)")
                whenStarted { [self] in told(.lost(record)) }
            case .described(let session): described = session
            case .settled: tellInherited(engine)
            case .due(let number): due.append(number)
            case .ended(let number, let outcome):
                guard var entry = remove(number) else { continue }
                let session = described?.number == number ? described : nil
                if let session { entry.count(session.counts, in: &traffic) }
                over(outcome, entry, session)
                told(.left(entry.source, isElsewhere: false))
            case .failed(let error):
                if let offered = engines.origin(of: engine)?.offered, !offered.isEmpty {
                    inherited[engine] = (0, ["\(error)": offered.count])
                    tellInherited(engine)
                }
                told(.failed("\(error)"))
            case .stopped: leave(engine)
            }
        }
        if isStarted { setLimits(of: adopted, in: engine) }
        if !pauses.isEmpty { told(.came(pauses: pauses)) }
        if !due.isEmpty { told(.due(due)) }
        if !traffic.isEmpty { told(.passed(traffic)) }
    }

    private func over(_ outcome: SessionOutcome, _ entry: Entry, _ session: SessionSummary?) {
        // Whether anybody wants the record is known only then.
        whenStarted { [self] in
            let record = configuration.accessLog == nil ? nil : session.flatMap { AccessRecord($0, outcome) }
            told(.over(outcome, entry, .init(outcome, first: session?.firstEnd), record))
        }
    }

    private func whenStarted(_ task: @escaping () -> Void) { if isStarted { task() } else { untilStart.append(task) } }

    /// Has a session that has come with its memory know how it came.
    ///
    /// - Parameter pause: nanoseconds; `nil`: its owner has died.
    private func keepAccount(of number: UInt64, _ note: RelayNote?, pause: UInt64?, in engine: UInt32) {
        whenStarted { [self] in
            guard configuration.accessLog != nil, var note else { return }
            if let pause { note.metadata.standstill.add(pause) } else { note.metadata.standstill.adoptions &+= 1 }
            if let encoded = try? note.encoded() { engines[engine]?.setNote(number, encoded) }
        }
    }

    // MARK: Counting

    /// How many there are of each listener and each route.
    var census: (listeners: [String: Int], routes: [String: Int]) {
        var (listeners, routes): ([String: Int], [String: Int]) = ([:], [:])
        for entry in entries.values {
            if let listener = entry.listener { listeners.count(listener) }
            if let route = entry.route { routes.count(route) }
        }
        return (listeners, routes)
    }

    /// Has told what has passed since that was told last.
    func countTraffic() { for (number, engine) in engines.numbered { count(engine, number) } }

    private func count(_ engine: SessionLoop, _ number: UInt32) {
        guard configuration.admin != nil else { return }
        let relays = NIOLoopBound(self, eventLoop: loop)
        engine.counts { [loop] found in loop.execute { relays.value.counted(found, in: number) } }
    }

    private func counted(_ found: [(number: UInt64, counts: SessionCounts)], in engine: UInt32) {
        var traffic = Traffic()
        for (number, counts) in found where entries[number]?.engine == engine {
            entries[number]?.count(counts, in: &traffic)
        }
        if !traffic.isEmpty { told(.passed(traffic)) }
    }

    private func tellInherited(_ engine: UInt32) {
        guard let (count, lost) = inherited.removeValue(forKey: engine), count > 0 || !lost.isEmpty else { return }
        told(.inherited(count, lost: lost, hasDied: engines.origin(of: engine)?.yieldedAt == nil))
    }

    /// What an engine had is another worker's.
    private func leave(_ engine: UInt32) {
        inherited[engine] = nil
        let gone = entries.filter { $0.value.engine == engine }
        for number in gone.keys { remove(number) }
        if !gone.isEmpty { told(.went(gone.count)) }
        for entry in gone.values { told(.left(entry.source, isElsewhere: true)) }
    }
}

extension Relays.Entry {
    /// Adds what has passed since it was counted last.
    fileprivate mutating func count(_ counts: SessionCounts, in traffic: inout Traffic) {
        func more(_ count: KeyPath<SessionCounts, UInt64>) -> UInt64 {
            let (now, before) = (counts[keyPath: count], counted[keyPath: count])
            return now > before ? now - before : 0
        }
        if let listener {
            traffic.listeners.add(received: more(\.receivedFromClient), sent: more(\.writtenToClient), to: listener)
        }
        if let upstream {
            traffic.upstreams.add(received: more(\.receivedFromUpstream), sent: more(\.writtenToUpstream), to: upstream)
        }
        counted = counts
    }
}

/// Answers of several engines to one question.
private final class Gathering<Element> {
    private var left: Int
    private var found: [Element] = []
    private let done: ([Element]) -> Void

    init(from count: Int, _ done: @escaping ([Element]) -> Void) {
        left = count
        self.done = done
    }

    func add(_ elements: [Element]) {
        found += elements
        left -= 1
        if left == 0 { done(found) }
    }
}

extension Parcel {
    /// What is known of the client's TLS.
    var info: ConnectionInfo? {
        switch snapshot {
        case .none: nil
        case .some(let snapshot): snapshot.info
        }
    }
}
