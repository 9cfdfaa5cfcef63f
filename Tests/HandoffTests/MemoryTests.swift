import BatonCore
import Glibc
import TLSRecords
import Testing

@testable import Handoff

/// A secret that is nowhere in memory but where it was put: its bytes are computed as they are compared.
struct Needle {
    let seed: UInt64

    func byte(_ index: Int) -> UInt8 {
        var x = (seed &+ UInt64(index)) &* 0x9E37_79B9_7F4A_7C15
        x ^= x >> 29
        x = x &* 0xBF58_476D_1CE4_E5B9
        return UInt8(truncatingIfNeeded: x >> 40)
    }

    func secret() -> SecretBytes {
        SecretBytes(count: 32) { target in for index in target.indices { target[index] = byte(index) } }
    }

    /// How often 16 bytes of it are in this process's writable memory.
    func occurrences() -> Int {
        var found = 0
        for region in writableMemory() {
            var at = region.baseAddress!
            var left = region.count
            while left >= 16, let hit = memchr(at, Int32(byte(0)), left - 15) {
                let bytes = UnsafeRawPointer(hit)
                var matching = 1
                while matching < 16, bytes.load(fromByteOffset: matching, as: UInt8.self) == byte(matching) {
                    matching += 1
                }
                if matching == 16 { found += 1 }
                left -= bytes - at + 1
                at = bytes + 1
            }
        }
        return found
    }

    private func writableMemory() -> [UnsafeRawBufferPointer] {
        guard let maps = fopen("/proc/self/maps", "r") else { return [] }
        defer { fclose(maps) }
        var regions: [UnsafeRawBufferPointer] = []
        var line = [CChar](repeating: 0, count: 1024)
        while fgets(&line, Int32(line.count), maps) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let fields = text.split(separator: " ")
            let range = fields[0].split(separator: "-").compactMap { UInt(String($0), radix: 16) }
            guard fields[1].hasPrefix("rw"), range.count == 2 else { continue }
            regions.append(
                UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: range[0]), count: Int(range[1] - range[0])))
        }
        return regions
    }
}

@Suite("secrets in memory")
struct MemoryTests {
    @Test("are gone from the old owner after the commit")
    func goneAfterCommit() async {
        await #expect(processExitsWith: .success) {
            let needle = Needle(seed: UInt64(getpid()))
            let meeting = try Meeting()
            let peer = try Peer("receive", meeting.path, "receive")
            var channel = OwnerChannel(try meeting.accept())
            var batch = ParcelBatch()
            for _ in 0..<20 {
                let snapshot = Snapshot(
                    established: ConnectionInfo(role: .server, suite: .aes128GCM),
                    read: DirectionState(secret: needle.secret()), write: DirectionState(secret: needle.secret()),
                    exporter: needle.secret())
                batch.append(Parcel(snapshot: try require(snapshot)))
            }
            #expect(needle.occurrences() >= 60)
            let outcome = channel.offer(batch, deadline: generously())
            #expect(outcome.settlement.handedOverCount == 20)
            #expect(try peer.line() == "received")
            #expect(needle.occurrences() == 0)
        }
    }

    @Test("are gone from a receiver that let go, and from one that could not read the offer")
    func goneAfterCancel() async {
        await #expect(processExitsWith: .success) {
            let needle = Needle(seed: UInt64(getpid()))
            var pair = try ChannelPair()
            let before = needle.occurrences()
            #expect(before == 0)
            for _ in 0..<10 {
                let snapshot = Snapshot(
                    established: ConnectionInfo(role: .server, suite: .aes128GCM),
                    read: DirectionState(secret: needle.secret()), write: DirectionState(secret: needle.secret()),
                    exporter: needle.secret())
                pair.owner.begin(ParcelBatch(Parcel(snapshot: try require(snapshot))), deadline: generously())
                _ = pair.owner.step()
                _ = try pair.receiver.step { _ in .accept }
                let isHolding = pair.receiver.isHolding
                #expect(isHolding)
                #expect(needle.occurrences() == 6)
                do {
                    let outcome = try require(pair.owner.expire())
                    #expect(outcome.returned.count == 1)
                }
                _ = try pair.receiver.step { _ in .accept }
                #expect(needle.occurrences() == 0)
            }
        }
    }
}
