import Glibc
import SampleArena
import SessionEngine
import Synchronization
import TLSRecords
import Testing

@Suite("An engine on its own thread")
struct LoopTests {
    /// What has been told, for a test to wait for.
    private final class Record: Sendable {
        let told = Mutex<[String]>([])

        func note(_ words: String) { told.withLock { $0.append(words) } }

        func has(_ words: String) -> Bool { wait { $0 == words } }

        func begins(_ words: String) -> Bool { wait { $0.hasPrefix(words) } }

        private func wait(_ isMeant: (String) -> Bool) -> Bool {
            let deadline = ContinuousClock.now + .seconds(30)
            while ContinuousClock.now < deadline {
                if told.withLock({ $0.contains(where: isMeant) }) { return true }
                sched_yield()
            }
            return false
        }
    }

    @Test("takes sessions, tells their keeper first, gives them out, and leaves the rest to another")
    func commands() throws {
        let memory = try Arena.make(slotCount: 4, extentCount: 16)
        defer { close(memory) }
        let record = Record()
        let callbacks = SessionLoop.Callbacks(
            events: { events in
                for event in events {
                    switch event {
                    case .started: record.note("started")
                    case .adopted(let session, _): record.note("adopted \(session.number)")
                    case .lost(let session): record.note("lost \(session.number)")
                    case .settled, .described: break
                    case .ended(let number, let why): record.note("\(number) ended \(why)")
                    case .due(let number): record.note("\(number) due")
                    case .failed(let error): record.note("failed \(error)")
                    case .stopped: record.note("stopped")
                    }
                }
            },
            keep: { sockets in record.note("keep \(sockets.map(\.slot.slot))") },
            released: { slots in record.note("released \(slots.map(\.slot))") })
        let loop = try SessionLoop(.init(arena: memory, owner: 1), callbacks)
        #expect(record.has("started"))
        let pairs = try (0..<4).map { _ in try TCPPair.make() }
        defer { for pair in pairs { close(pair.0) } }
        let parcels: [SessionParcel] = (0..<2).map { index in
            let client = SessionLeg(descriptor: pairs[2 * index].1)
            let upstream = SessionLeg(descriptor: pairs[2 * index + 1].1)
            let number = UInt64(index + 1)
            return SessionParcel(
                SessionAtRest(number: number, client: client, upstream: upstream, note: [UInt8(index)]))
        }
        loop.begin(parcels) { refused in record.note("begun but \(refused.count)") }
        #expect(record.has("begun but 0"))
        #expect(record.told.withLock { $0 } == ["started", "keep [0, 1]", "begun but 0"])
        #expect(send(pairs[0].0, "hello", 5, 0) == 5)
        var bytes = [UInt8](repeating: 0, count: 5)
        var poller = pollfd(fd: pairs[1].0, events: Int16(POLLIN), revents: 0)
        #expect(poll(&poller, 1, 30_000) == 1)
        #expect(recv(pairs[1].0, &bytes, 5, 0) == 5 && bytes == Array("hello".utf8))

        loop.list(after: 1, limit: 10) { record.note("list \($0.map(\.number)) \($0.map(\.note))") }
        #expect(record.has("list [2] [[1]]"))
        loop.setNote(2, [9]) { record.note("note \($0)") }
        #expect(record.has("note true"))
        loop.extract([1, 7]) { parcels, left in
            parcels.close()
            record.note("out \(parcels.map(\.number)), not \(left)")
        }
        #expect(record.has("out [1], not [(7, SessionEngine.ExtractError.unknown)]"))
        #expect(record.has("released [0]"))
        loop.count { record.note("count \($0)") }
        #expect(record.has("count 1"))
        loop.stop()
        #expect(record.has("stopped"))
        #expect(Arena.owner(of: memory) == 0)
        loop.begin([]) { _ in record.note("refused") }
        #expect(record.has("refused"))
        #expect(!record.told.withLock { $0 }.contains { $0.contains("ended") })
    }

    @Test("adopts what another has left, and resets all when it is told to")
    func adoption() throws {
        let place = try Place(client: .aes128GCM, upstream: nil, total: .max)
        place.drop()
        let record = Record()
        let duplicates = place.session.duplicates
        let name = SlotName(slot: place.slot, generation: 1)
        let loop = try SessionLoop(
            .init(arena: place.memory, owner: 9, sockets: [name: duplicates]),
            .init(events: { for event in $0 { record.note("\(event)".prefix(7).lowercased()) } }))
        #expect(record.has("started"))
        loop.resetAll()
        #expect(record.has("ended(1"))
        loop.stop()
        #expect(record.has("stopped"))
    }

    @Test("prepares an arena while its owner works, and has it when that relinquishes it")
    func preparation() throws {
        let memory = try Arena.make(slotCount: 8, extentCount: 16)
        defer { close(memory) }
        let (former, heir) = (Record(), Record())
        let sockets = Mutex<[SlotName: (client: CInt, upstream: CInt)]>([:])
        let old = try SessionLoop(
            .init(arena: memory, owner: 1),
            .init(
                events: { for event in $0 { former.note("\(event)") } },
                keep: { kept in
                    sockets.withLock {
                        for session in kept { $0[session.slot] = (dup(session.client), dup(session.upstream)) }
                    }
                }))
        let pairs = try (0..<6).map { _ in try TCPPair.make() }
        defer { for pair in pairs { close(pair.0) } }
        func begin(_ numbers: Range<Int>) {
            old.begin(
                numbers.map { index in
                    SessionParcel(
                        SessionAtRest(
                            number: UInt64(index), client: SessionLeg(descriptor: pairs[2 * index].1),
                            upstream: SessionLeg(descriptor: pairs[2 * index + 1].1), note: []))
                }
            ) { refused in former.note("begun \(numbers) but \(refused.count)") }
        }
        func pass(_ index: Int, _ byte: UInt8) -> Bool {
            var (byte, received) = (byte, UInt8(0))
            guard send(pairs[2 * index].0, &byte, 1, 0) == 1 else { return false }
            var poller = pollfd(fd: pairs[2 * index + 1].0, events: Int16(POLLIN), revents: 0)
            return poll(&poller, 1, 30_000) == 1 && recv(pairs[2 * index + 1].0, &received, 1, 0) == 1
                && received == byte
        }
        begin(0..<2)
        #expect(former.has("begun 0..<2 but 0"))
        let new = try SessionLoop(
            .init(arena: memory, owner: 2, former: nil, sockets: sockets.withLock { $0 }),
            .init(events: { for event in $0 { heir.note("\(event)".split(separator: "(").first.map(String.init)!) } }))
        new.prepared { heir.note("prepared") }
        #expect(heir.has("prepared"))
        // The owner goes on: a session comes, and another goes.
        #expect(pass(0, 1) && pass(1, 2))
        let before = sockets.withLock { Set($0.keys) }
        begin(2..<3)
        #expect(former.has("begun 2..<3 but 0"))
        new.expect(sockets.withLock { all in all.filter { !before.contains($0.key) } })
        old.extract([1]) { parcels, _ in
            parcels.close()
            former.note("out")
        }
        #expect(former.has("out"))
        new.forget([SlotName(slot: 1, generation: 1)])
        new.prepared { heir.note("prepared again") }
        #expect(heir.has("prepared again") && pass(0, 3) && pass(2, 4))
        #expect(!heir.told.withLock { $0.contains("started") })

        old.stop()
        #expect(former.begins("stopped"))
        new.take(after: .relinquished)
        #expect(heir.has("settled"))
        #expect(heir.told.withLock { $0.filter { $0 == "adopted" }.count == 2 })
        #expect(pass(0, 5) && pass(2, 6))
        new.list(after: nil, limit: 9) { heir.note("list \($0.map(\.number)) \($0.map(\.handovers))") }
        #expect(heir.has("list [0, 2] [1, 1]"))
        new.stop()
        #expect(heir.has("stopped"))
        for (client, upstream) in sockets.withLock({ $0.values }) {
            close(client)
            close(upstream)
        }
    }

    @Test("has nothing of an arena that its owner keeps, and closes no connection when it is not to have it")
    func withdrawal() throws {
        let place = try Place(client: .aes128GCM, upstream: nil, total: 1 << 20)
        let record = Record()
        let name = SlotName(slot: place.slot, generation: 1)
        func heir(_ owner: UInt64) throws -> SessionLoop {
            try SessionLoop(
                .init(arena: place.memory, owner: owner, former: nil, sockets: [name: place.session.duplicates]),
                .init(events: { for event in $0 { record.note("\(owner) \("\(event)".prefix(6))") } }))
        }
        let withdrawn = try heir(8)
        withdrawn.prepared { record.note("prepared") }
        #expect(record.has("prepared"))
        withdrawn.stop()
        #expect(record.has("8 stoppe"))
        let mistaken = try heir(9)
        mistaken.take(after: .relinquished)
        #expect(record.has("9 failed"))
        #expect(try place.run { place.ends.allSatisfy { $0.end.isDone } })
        #expect(place.lost == [])
    }
}
