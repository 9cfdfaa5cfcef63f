internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Glibc
internal import Handoff
internal import HostMigration
internal import Logging
internal import NIOCore
internal import SessionEngine
internal import TLSRecords

/// The relays of a worker: sessions whose two sides are connected. The engine serves them on a thread of its own, in memory
/// that outlives the worker; here is what the worker counts and finds them by. Used on the worker's event loop only.
final class Relays {
    /// What the worker hears of them, on its event loop.
    enum Event {
        case arrived(IPAddress?)
        /// It is over, or goes to another owner.
        case left(IPAddress?, isElsewhere: Bool)
        /// TLS ended one.
        case fault(any Error, Logger.Metadata)
        /// One has passed no byte for too long.
        case idle
        /// These have received as many records as `move-every` says.
        case due([UInt64])
        /// One cannot begin, for this reason.
        case refused(String, Logger.Metadata)
        /// The engine has no memory to work in.
        case failed(String)
        /// What a worker has left that has died: so many relays go on here, and these are lost, by the reason.
        case inherited(Int, lost: [String: Int])
    }

    private struct Entry {
        let peer: Endpoint?
        let listener: String?
        let target: String
        /// The sweep of a drain that has last asked for it.
        let sweep: [UInt8]?
        /// The number of its engine.
        let engine: UInt32
        /// It is being taken out.
        var isLeaving = false

        init(_ metadata: ParcelMetadata, in engine: UInt32) {
            self.engine = engine
            peer = metadata.source
            listener = metadata.listener
            target = metadata.target.map { "\($0)" } ?? ""
            sweep = metadata.annotations[SessionAnnotation.sweep]
        }

        var source: IPAddress? { peer.map { ConnectionLimits.group(of: $0.address) } }

        func names(_ side: SessionSide) -> Logger.Metadata {
            var names: Logger.Metadata = [:]
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
    /// One for this worker's own relays, and one for the memory of each that has died. They are called by the number of the
    /// worker that has made the memory.
    private var engines: [UInt32: SessionLoop] = [:]
    /// Those whose memory is coming.
    private var arriving: [UInt32: Arriving] = [:]
    /// What engines were given that have not said what they have taken over.
    private var offered: [UInt32: [SlotName]] = [:]
    /// The memory of engines that have not mapped it yet.
    private var unmapped: [UInt32: CInt] = [:]
    /// The worker's number.
    private var number: UInt32 = 0

    /// Memory that a dead worker has left, as far as it has come.
    private struct Arriving {
        let arena: CInt
        var sockets: [SlotName: (client: CInt, upstream: CInt)] = [:]
    }

    init(on loop: any EventLoop, told: @escaping (Event) -> Void) {
        self.loop = loop
        self.told = told
    }

    /// What a worker has left that has died goes on before that; relays of this one's own begin after it.
    func start(worker number: Int, _ configuration: Configuration) {
        self.number = UInt32(truncatingIfNeeded: number)
        use(configuration)
    }

    // MARK: Which there are

    /// Those that are here, and those that are being taken out.
    var count: Int { entries.count }

    func isHere(_ number: UInt64) -> Bool { entries[number]?.isLeaving == false }

    func count(after number: UInt64) -> Int { entries.keys.count { $0 > number } }

    /// Where they come from, each as often as there are relays of it.
    var sources: [IPAddress?] { entries.values.map(\.source) }

    /// Those that this sweep of a drain has not asked for.
    func numbers(withoutSweep mark: [UInt8]) -> [UInt64] {
        entries.filter { !$0.value.isLeaving && $0.value.sweep != mark }.map(\.key)
    }

    /// At most `limit` whose numbers are above `number`, in their order.
    func list(after number: UInt64, limit: Int, _ answer: @escaping ([(UInt64, RelayNote)]) -> Void) {
        guard limit > 0, !engines.isEmpty, !entries.isEmpty else { return answer([]) }
        let found = NIOLoopBound(Gathering<(UInt64, RelayNote)>(from: engines.count, answer), eventLoop: loop)
        for engine in engines.values {
            engine.list(after: number, limit: limit) { [loop] summaries in
                loop.execute {
                    found.value.add(
                        summaries.compactMap { summary in RelayNote(summary.note).map { (summary.number, $0) } })
                }
            }
        }
    }

    // MARK: Coming

    /// Makes a relay of a parcel with two connections.
    func begin(_ parcel: consuming Parcel, _ state: SessionState) {
        let metadata = parcel.metadata
        let entry = Entry(metadata, in: self.number)
        let number = Session.nextNumber()
        let idleTime = metadata.idleFor / 1_000_000
        guard let engine = ownEngine(), let note = try? RelayNote(metadata, parcel.info).encoded() else {
            // Neither side has ended, so neither may see an end in order.
            for descriptor in parcel.sockets.takeAll() { SocketReset.close(descriptor) }
            return told(.refused("there is no engine for it", entry.names(.client)))
        }
        guard var session = SessionAtRest(number: number, parcel, state, note: note) else {
            return told(.refused("it is no relay that can be taken", entry.names(.client)))
        }
        session.idleLimit = idleLimit(entry.listener)
        session.idleTime = idleTime
        session.moveEvery = moveEvery
        entries[number] = entry
        told(.arrived(entry.source))
        let relays = NIOLoopBound(self, eventLoop: loop)
        engine.begin([SessionParcel(session)]) { [loop] failed in
            guard !failed.isEmpty else { return }
            loop.execute {
                for (parcel, error) in failed { relays.value.refused(parcel, error) }
            }
        }
    }

    private func refused(_ parcel: SessionParcel, _ error: BeginError) {
        if let session = parcel.take() {
            SocketReset.close(session.client.descriptor)
            SocketReset.close(session.upstream.descriptor)
        }
        guard let entry = entries.removeValue(forKey: parcel.number) else { return }
        told(.left(entry.source, isElsewhere: false))
        told(.refused("\(error)", entry.names(.client)))
    }

    // MARK: Going

    /// Takes relays out. Those that are about to end stay, and so do those that are not here.
    func take(_ numbers: [UInt64], _ answer: @escaping ([Taken]) -> Void) {
        let parts = Dictionary(grouping: numbers.filter(isHere)) { entries[$0]!.engine }
        guard !parts.isEmpty else { return answer([]) }
        let found = NIOLoopBound((self, Gathering(from: parts.count, answer)), eventLoop: loop)
        for (engine, numbers) in parts {
            for number in numbers { entries[number]?.isLeaving = true }
            engines[engine]?.extract(numbers) { [loop] parcels, left in
                loop.execute {
                    let (relays, gathering) = found.value
                    for (number, _) in left { relays.entries[number]?.isLeaving = false }
                    gathering.add(parcels.compactMap(relays.taken))
                }
            }
        }
    }

    /// Takes at most `count` out, whichever.
    func take(upTo count: Int, _ answer: @escaping ([Taken]) -> Void) {
        take(Array(entries.lazy.filter { !$0.value.isLeaving }.prefix(max(0, count)).map(\.key)), answer)
    }

    private func taken(_ parcel: SessionParcel) -> Taken? {
        guard let entry = entries.removeValue(forKey: parcel.number) else { return nil }
        told(.left(entry.source, isElsewhere: true))
        guard let session = parcel.take(), let note = RelayNote(session.note) else { return nil }
        var metadata = note.metadata
        metadata.idleFor = session.idleTime * 1_000_000
        metadata.stampDetached()
        return Taken(number: parcel.number, box: ParcelBox(session.parcel(metadata)))
    }

    /// Ends all. Neither side of a relay has ended when it does, so neither may see an end in order.
    func closeAll() { for engine in engines.values { engine.resetAll() } }

    /// Ends all at once.
    func abandon(_ done: @escaping () -> Void) {
        guard !engines.isEmpty else { return done() }
        closeAll()
        let found = NIOLoopBound(Gathering<Int>(from: engines.count) { _ in done() }, eventLoop: loop)
        for engine in engines.values {
            engine.count { [loop] _ in loop.execute { found.value.add([]) } }
        }
    }

    // MARK: The configuration

    /// What holds from now on.
    func use(_ configuration: Configuration) {
        self.configuration = configuration
        for (number, engine) in engines {
            engine.setLimits(limits, moveEvery: moveEvery)
            engine.setIdleLimits(
                entries.filter { $0.value.engine == number }.map { ($0.key, idleLimit($0.value.listener)) })
        }
    }

    private var limits: SessionLimits { SessionLimits(bufferSize: configuration.limits.bufferSize) }

    private var moveEvery: UInt32 { UInt32(clamping: configuration.moveEvery) }

    private func idleLimit(_ listener: String?) -> UInt32 {
        guard let limit = listener.flatMap({ configuration.listeners[$0] })?.idleTime else { return 0 }
        return UInt32(clamping: limit.components.seconds * 1_000 + limit.components.attoseconds / 1_000_000_000_000_000)
    }

    // MARK: Engines

    /// The engine of this worker's own relays. It is made when there is the first.
    private func ownEngine() -> SessionLoop? {
        if let engine = engines[number] { return engine }
        do {
            let arena = try Arena.make(
                slotCount: min(configuration.limits.connections, Self.mostSlots), extentCount: Self.extentCount)
            WorkerKeeperLink.say(EstateMessage(.arena, number), [arena])
            try start(number, arena: arena)
        } catch {
            closeArena(of: number)
            told(.failed("\(error)"))
        }
        return engines[number]
    }

    private static let mostSlots = 65_536
    private static let extentCount = 16_384

    /// - Parameter arena: is taken over.
    private func start(
        _ number: UInt32, arena: CInt, after former: FormerEnd = .relinquished,
        _ sockets: [SlotName: (client: CInt, upstream: CInt)] = [:]
    ) throws(ArenaError) {
        let relays = NIOLoopBound(self, eventLoop: loop)
        // The engine maps it on its own thread.
        unmapped[number] = arena
        let owner = UInt64(UInt32(bitPattern: getpid())) << 32 | UInt64(UInt32.random(in: 1...UInt32.max))
        engines[number] = try SessionLoop(
            .init(arena: arena, owner: owner, former: former, sockets: sockets, limits: limits),
            .init(
                events: { [loop] events in loop.execute { relays.value.heard(events, number) } },
                keep: { sessions in
                    for first in stride(from: 0, to: sessions.count, by: EstateMessage.mostSessions) {
                        let some = sessions[first..<min(first + EstateMessage.mostSessions, sessions.count)]
                        WorkerKeeperLink.say(
                            EstateMessage(.keep, number, some.map { .init($0) }),
                            some.flatMap { [$0.client, $0.upstream] })
                    }
                },
                released: { Self.release($0, of: number) }))
    }

    private func closeArena(of engine: UInt32) {
        if let arena = unmapped.removeValue(forKey: engine) { close(arena) }
    }

    /// Duplicates of these sessions' sockets need not be kept.
    private static func release(_ slots: [SlotName], of engine: UInt32) {
        for first in stride(from: 0, to: slots.count, by: 1_000) {
            let some = slots[first..<min(first + 1_000, slots.count)]
            WorkerKeeperLink.say(EstateMessage(.release, engine, some.map { .init($0) }))
        }
    }

    /// The keeper hands on what a worker has left that has died.
    ///
    /// - Parameter descriptors: are taken over.
    func hear(_ message: EstateMessage, _ descriptors: [CInt]) {
        switch message.kind {
        case .arena: arriving[message.number] = Arriving(arena: descriptors[0])
        case .keep:
            for (index, entry) in message.entries.enumerated() {
                let name = SlotName(slot: Int(entry.slot), generation: entry.generation)
                arriving[message.number]?.sockets[name] = (descriptors[2 * index], descriptors[2 * index + 1])
            }
        case .begin:
            guard let left = arriving.removeValue(forKey: message.number) else { return }
            let owner = Arena.owner(of: left.arena)
            let isFault = message.entries.first?.slot == UInt32(Estate.End.fault.rawValue)
            offered[message.number] = Array(left.sockets.keys)
            do {
                try start(
                    message.number, arena: left.arena,
                    after: owner == 0 ? .relinquished : isFault ? .fault(owner: owner) : .killed(owner: owner),
                    left.sockets)
            } catch {
                closeArena(of: message.number)
                for (client, upstream) in left.sockets.values {
                    SocketReset.close(client)
                    SocketReset.close(upstream)
                }
                Self.release(offered.removeValue(forKey: message.number) ?? [], of: message.number)
                told(.inherited(0, lost: ["\(error)": left.sockets.count]))
            }
        case .release: break
        }
    }

    /// An engine has taken over what another worker has left.
    private func inherit(_ adopted: [SessionSummary], _ lost: [LostSession], _ engine: UInt32) {
        let offered = offered.removeValue(forKey: engine) ?? []
        // Sessions that were over when their worker died, and those that are lost.
        Self.release(Array(Set(offered).subtracting(adopted.map(\.slot))), of: engine)
        guard !adopted.isEmpty || !lost.isEmpty else { return }
        var reasons: [String: Int] = [:]
        for session in lost { reasons["\(session.reason)", default: 0] += 1 }
        for session in adopted {
            // One whose note cannot be read goes on all the same.
            let entry = Entry(RelayNote(session.note)?.metadata ?? ParcelMetadata(), in: engine)
            entries[session.number] = entry
            told(.arrived(entry.source))
        }
        told(.inherited(adopted.count, lost: reasons))
        if number > 0 { use(configuration) }
    }

    private func heard(_ events: [SessionEvent], _ engine: UInt32) {
        var due: [UInt64] = []
        for event in events {
            switch event {
            case .due(let number): due.append(number)
            case .ended(let number, let outcome):
                guard let entry = entries.removeValue(forKey: number) else { continue }
                switch outcome {
                case .protocolError(let side, let error?): told(.fault(error, entry.names(side)))
                case .idle: told(.idle)
                case .inOrder, .reset, .protocolError, .closed: break
                }
                told(.left(entry.source, isElsewhere: false))
            case .failed(let error):
                closeArena(of: engine)
                engines[engine] = nil
                let slots = offered.removeValue(forKey: engine) ?? []
                Self.release(slots, of: engine)
                if !slots.isEmpty { told(.inherited(0, lost: ["\(error)": slots.count])) }
                told(.failed("\(error)"))
            case .started(let adopted, let lost):
                closeArena(of: engine)
                inherit(adopted, lost, engine)
            case .stopped: break
            }
        }
        if !due.isEmpty { told(.due(due)) }
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

extension EstateMessage.Entry {
    fileprivate init(_ name: SlotName) { self.init(slot: UInt32(name.slot), generation: name.generation) }

    fileprivate init(_ session: SessionSockets) { self.init(session.slot) }
}

extension Parcel {
    /// What is known of the client's TLS.
    fileprivate var info: ConnectionInfo? {
        switch snapshot {
        case .none: nil
        case .some(let snapshot): snapshot.info
        }
    }
}
