import Glibc
import SampleArena
import SessionEngine
import TLSRecords
import Testing

/// An arena outlives the program that has written it, so another build must find in it what was meant.
@Suite("An arena of layout version 2")
struct GoldenArenaTests {
    @Test("has the bytes that it has always had")
    func bytes() { #expect(SampleArena.image.digest == SampleArena.digest) }

    @Test("is adopted, and each of its sessions goes on where its owner has left it")
    func adopted() throws {
        let sockets = try SampleSockets()
        let memory = try SampleArena.image.memory()
        defer { close(memory) }
        var engine = try Engine(
            taking: Arena(mapping: memory), as: 2, after: .killed(owner: SampleArena.owner)
        ) { sockets.duplicates($0.slot) }
        let lost = engine.lost
        #expect(lost == [])
        let adopted = engine.takeEvents().compactMap {
            if case .adopted(let session, _) = $0 { session.slot } else { nil }
        }
        // The one that its owner was working on is first.
        #expect(adopted.map(\.slot) == [3, 0, 1, 4])
        #expect(adopted.map(\.generation) == [2, 3, 1, 1])
        let listed = engine.list(after: nil, limit: 10)
        #expect(listed.map(\.number) == SampleArena.Slot.all.map(SampleArena.number))
        #expect(listed.map(\.slot.slot) == SampleArena.Slot.all)
        #expect(listed.map(\.note) == [[], Array("named".utf8), [], SampleArena.note])
        #expect(listed.map(\.counts.receivedFromClient) == [120, 80, 30, 40])
        #expect(listed.map(\.counts.writtenToClient) == [300, 0, 0, 20])
        #expect(listed.map(\.counts.receivedFromUpstream) == [50, 0, 0, 20])
        #expect(listed.map(\.counts.writtenToUpstream) == [40, 200, 30, 40])

        // TLS 1.3: what waits goes out from where the kernel has come to, then what becomes of the rest of the record.
        let tls13 = (sockets.clients[SampleArena.Slot.tls13]!.peer, sockets.upstreams[SampleArena.Slot.tls13]!.peer)
        #expect(Self.read(tls13.1) == Array(SampleArena.waiting[15...]))
        let rest = SampleArena.restOfRecord
        #expect(send(tls13.0, rest, rest.count, 0) == rest.count)
        engine.step(waiting: 1_000)
        #expect(Self.read(tls13.1) == SampleArena.content)

        // TLS 1.2: the client has ended, and the upstream goes on.
        let tls12 = (sockets.clients[SampleArena.Slot.tls12]!.peer, sockets.upstreams[SampleArena.Slot.tls12]!.peer)
        var protection = SampleArena.upstreamProtection()
        let record = protection.seal(Array("after the end".utf8))
        #expect(send(tls12.1, record, record.count, 0) == record.count)
        engine.step(waiting: 1_000)
        #expect(Self.read(tls12.0) == Array("after the end".utf8))

        #expect(Self.read(sockets.upstreams[SampleArena.Slot.plain]!.peer) == SampleArena.unread)
        // Of the send of eight bytes that was under way the kernel had taken five.
        #expect(Self.read(sockets.clients[SampleArena.Slot.note]!.peer) == Array(SampleArena.waiting[17..<20]))
        let count = engine.sessionCount
        #expect(count == 4)
    }

    @Test("with a page is adopted, and the request is answered whose beginning has been used")
    func page() throws {
        let sockets = try SampleSockets()
        let memory = try SampleArena.pageImage.memory()
        defer { close(memory) }
        var engine = try Engine(
            taking: Arena(mapping: memory), as: 2, after: .killed(owner: SampleArena.owner),
            sockets: { sockets.duplicates($0.slot) }, respond: SamplePage.respond)
        let lost = engine.lost
        #expect(lost == [])
        let peer = sockets.clients[SampleArena.Slot.plain]!.peer
        let rest = Array(": y\r\n\r\n".utf8)
        #expect(send(peer, rest, rest.count, 0) == rest.count)
        engine.step(waiting: 1_000)
        #expect(String(decoding: Self.read(peer), as: UTF8.self).hasPrefix("get1 more "))
    }

    @Test("of another version is refused, and says which", arguments: [1, 3] as [UInt32])
    func otherVersion(version: UInt32) throws {
        let memory = try SampleArena.makeImage(version: version).memory()
        defer { close(memory) }
        let error = #expect(throws: ArenaError.self) { _ = try Arena(mapping: memory) }
        #expect(error == .otherVersion(version))
        #expect(error.map { "\($0)" } == "the arena has layout version \(version), and this program reads 2")
        // Its owner and its sessions are as they were.
        #expect(Arena.owner(of: memory) == SampleArena.owner)
    }

    private static func read(_ descriptor: CInt) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1_000)
        let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        return Array(bytes.prefix(max(0, count)))
    }
}
