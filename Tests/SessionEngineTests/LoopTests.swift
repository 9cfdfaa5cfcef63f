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

        func has(_ words: String) -> Bool {
            let deadline = ContinuousClock.now + .seconds(30)
            while ContinuousClock.now < deadline {
                if told.withLock({ $0.contains(words) }) { return true }
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
                    case .started(let adopted, _): record.note("started with \(adopted.map(\.number))")
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
        #expect(record.has("started with []"))
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
        #expect(record.told.withLock { $0 } == ["started with []", "keep [0, 1]", "begun but 0"])
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
            for parcel in parcels {
                guard let session = parcel.take() else { continue }
                close(session.client.descriptor)
                close(session.upstream.descriptor)
            }
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
}
