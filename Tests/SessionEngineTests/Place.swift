import Glibc
import SampleArena
import SessionEngine
import TLSRecords
import Testing

/// An arena with one session, and the engine in the test's own process that has it at present. An owner that is dropped
/// leaves its arena as one does that has died between two turns.
final class Place {
    let memory: CInt
    let session: TestSession
    let slot: Int
    private(set) var engine: Engine?
    private var owners: UInt64 = 1

    convenience init(client: CipherSuite?, upstream: CipherSuite?, total: UInt64, unix: UnixLegs = []) throws {
        try self.init(TestSession(client: client, upstream: upstream, total: total, unix: unix))
    }

    init(_ session: TestSession) throws {
        self.session = session
        memory = try Arena.make(slotCount: 4, extentCount: 16)
        var engine = try Engine(taking: Arena(mapping: memory), as: 1, respond: SamplePage.respond)
        slot = try session.begin(in: &engine)
        self.engine = consume engine
    }

    deinit {
        session.close()
        close(memory)
    }

    var ends: [StreamEnd.Box] { session.ends }
    var lost: [AdoptionError] {
        engine?.takeOverAll()
        return engine.lost
    }
    var sessionCount: Int { engine.sessionCount }

    func step() { engine!.step(waiting: 0) }

    /// Lends the engine.
    func withEngine<R>(_ body: (inout Engine) throws -> R) rethrows -> R { try body(&engine!) }

    /// Whether the session has become due to move since this was asked last.
    var hasBecomeDue: Bool {
        withEngine { $0.takeEvents() }.contains { if case .due(1) = $0 { true } else { false } }
    }

    /// The owner leaves.
    func drop() { engine = nil }

    /// Another owner has the arena from here on.
    ///
    /// - Parameter faulty: the one before has ended by its own fault.
    func succeed(faulty: Bool = false) throws {
        drop()
        owners += 1
        let former: FormerEnd = faulty ? .fault(owner: 0) : .relinquished
        let (session, slot) = (session, slot)
        // One owner in two takes sessions over when something happens to them.
        engine = try Engine(
            taking: Arena(mapping: memory), as: owners, after: former, portion: owners % 2 == 0 ? 1 : .max,
            sockets: { $0.slot == slot ? session.duplicates : nil }, respond: SamplePage.respond)
    }

    /// Another owner has the arena from here on, because `owner` was killed; 0: it has relinquished it.
    func succeed(afterKilled owner: UInt64) throws {
        owners += 1
        let (session, slot) = (session, slot)
        engine = try Engine(
            taking: Arena(mapping: memory), as: owners, after: owner == 0 ? .relinquished : .killed(owner: owner),
            sockets: { $0.slot == slot ? session.duplicates : nil }, respond: SamplePage.respond)
    }

    /// Works on both sides until `isDone`, and a new owner takes over after every `life` steps.
    func run(life: Int = .max, until isDone: () -> Bool) throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(30)
        var steps = 0
        while !isDone() {
            guard ContinuousClock.now < deadline else { return false }
            StreamEnd.step(ends, milliseconds: 0)
            step()
            steps += 1
            if steps % life == 0 { try succeed() }
        }
        return true
    }

    /// The session goes on to its end, and no byte is lost or doubled.
    func finish() throws {
        session.peer.end.isPaused = false
        session.peer.end.isSilent = false
        for box in ends { box.end.total = box.end.sent + 1_000 }
        #expect(try run { ends.allSatisfy { $0.end.isDone } })
        #expect(ends.map { $0.end.fault } == [nil, nil])
        #expect(ends.map { $0.end.received } == ends.reversed().map { $0.end.sent })
    }

    /// Works until nothing moves any more.
    func settle() throws {
        var before: [UInt64] = []
        var quiet = 0
        _ = try run {
            let now = ends.flatMap { [$0.end.sent, $0.end.received] }
            quiet = now == before ? quiet + 1 : 0
            before = now
            return quiet == 200
        }
    }

    // MARK: The arena as bytes

    private static let header = 4096
    private var offset: Int { Place.header + slot * 2048 }

    var slotBytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 2048)
        pread(memory, &bytes, bytes.count, offset)
        return bytes
    }

    /// Writes over the slot.
    func damage(at place: Int, _ bytes: [UInt8]) { pwrite(memory, bytes, bytes.count, offset + place) }

    /// Writes over what the header says of the send under way.
    func damageSending(at place: Int, _ bytes: [UInt8]) { pwrite(memory, bytes, bytes.count, off_t(64 + place)) }

    /// Bytes of memory that the arena takes.
    var footprint: Int {
        var status = stat()
        fstat(memory, &status)
        return Int(status.st_blocks) * 512
    }
}

extension Optional where Wrapped == Engine {
    var sessionCount: Int {
        switch self {
        case .none: 0
        case .some(let engine): engine.sessionCount
        }
    }

    /// Why sessions could not be taken over.
    var lost: [AdoptionError] {
        switch self {
        case .none: []
        case .some(let engine): engine.lost.map(\.reason)
        }
    }
}
