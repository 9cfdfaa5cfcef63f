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
    }

    private struct Entry {
        let peer: Endpoint?
        let listener: String?
        let target: String
        /// The sweep of a drain that has last asked for it.
        let sweep: [UInt8]?
        /// It is being taken out.
        var isLeaving = false

        init(_ metadata: ParcelMetadata) {
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
    private var configuration: Configuration
    private let told: (Event) -> Void
    private var entries: [UInt64: Entry] = [:]
    private var engine: SessionLoop?
    /// The engine's memory.
    private var arena: CInt?

    init(on loop: any EventLoop, _ configuration: Configuration, told: @escaping (Event) -> Void) {
        self.loop = loop
        self.configuration = configuration
        self.told = told
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
        guard let engine, limit > 0, !entries.isEmpty else { return answer([]) }
        let bound = NIOLoopBound(answer, eventLoop: loop)
        engine.list(after: number, limit: limit) { [loop] summaries in
            loop.execute {
                bound.value(summaries.compactMap { summary in RelayNote(summary.note).map { (summary.number, $0) } })
            }
        }
    }

    // MARK: Coming

    /// Makes a relay of a parcel with two connections.
    func begin(_ parcel: consuming Parcel, _ state: SessionState) {
        let metadata = parcel.metadata
        let entry = Entry(metadata)
        let number = Session.nextNumber()
        let idleTime = metadata.idleFor / 1_000_000
        guard let engine = startedEngine(),
            let note = try? RelayNote(metadata, parcel.info).encoded(),
            var session = SessionAtRest(number: number, parcel, state, note: note)
        else { return told(.refused("it is no relay that can be taken", entry.names(.client))) }
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
        let numbers = numbers.filter(isHere)
        guard let engine, !numbers.isEmpty else { return answer([]) }
        for number in numbers { entries[number]?.isLeaving = true }
        let bound = NIOLoopBound((self, answer), eventLoop: loop)
        engine.extract(numbers) { [loop] parcels, left in
            loop.execute {
                let (relays, answer) = bound.value
                for (number, _) in left { relays.entries[number]?.isLeaving = false }
                answer(parcels.compactMap(relays.taken))
            }
        }
    }

    /// Takes at most `count` out, whichever.
    func take(upTo count: Int, _ answer: @escaping ([Taken]) -> Void) {
        guard let engine, count > 0, !entries.isEmpty else { return answer([]) }
        let bound = NIOLoopBound((self, answer), eventLoop: loop)
        engine.extract(upTo: count) { [loop] parcels in
            loop.execute {
                let (relays, answer) = bound.value
                answer(parcels.compactMap(relays.taken))
            }
        }
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
    func closeAll() { engine?.resetAll() }

    /// Ends all at once.
    func abandon(_ done: @escaping @Sendable () -> Void) {
        guard let engine else { return done() }
        engine.resetAll()
        engine.count { [loop] _ in loop.execute { done() } }
    }

    // MARK: The configuration

    /// What holds from now on.
    func use(_ configuration: Configuration) {
        self.configuration = configuration
        guard let engine else { return }
        engine.setLimits(limits, moveEvery: moveEvery)
        engine.setIdleLimits(entries.map { ($0.key, idleLimit($0.value.listener)) })
    }

    private var limits: SessionLimits { SessionLimits(bufferSize: configuration.limits.bufferSize) }

    private var moveEvery: UInt32 { UInt32(clamping: configuration.moveEvery) }

    private func idleLimit(_ listener: String?) -> UInt32 {
        guard let limit = listener.flatMap({ configuration.listeners[$0] })?.idleTime else { return 0 }
        return UInt32(clamping: limit.components.seconds * 1_000 + limit.components.attoseconds / 1_000_000_000_000_000)
    }

    // MARK: The engine

    /// It is made when there is the first relay.
    private func startedEngine() -> SessionLoop? {
        if let engine { return engine }
        let relays = NIOLoopBound(self, eventLoop: loop)
        do {
            let arena = try Arena.make(
                slotCount: min(configuration.limits.connections, Self.mostSlots),
                extentCount: Self.extentCount)
            self.arena = arena
            engine = try SessionLoop(
                .init(arena: arena, owner: UInt64(getpid()), limits: limits),
                .init(events: { [loop] events in loop.execute { relays.value.heard(events) } }))
        } catch {
            told(.failed("\(error)"))
        }
        return engine
    }

    private static let mostSlots = 65_536
    private static let extentCount = 16_384

    private func heard(_ events: [SessionEvent]) {
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
            case .failed(let error): told(.failed("\(error)"))
            case .started, .stopped: break
            }
        }
        if !due.isEmpty { told(.due(due)) }
    }
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
