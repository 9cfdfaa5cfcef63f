internal import BatonCore
package import TLSRecords

/// A small arena as a worker that was killed leaves it: its bytes, which layout version 2 has determined, and sockets that
/// have come as far as the bytes say. The bytes must be adopted for as long as a build reads version 2: never change them.
package enum SampleArena {
    package static let owner: UInt64 = 77
    /// FNV-1a of the bytes.
    package static let digest: UInt64 = 10_396_176_452_298_023_593

    /// The slots that hold a session, by the order of the sessions' numbers.
    package enum Slot {
        /// TLS 1.3 from the client, of whose record the first 20 bytes have been read; output for the upstream waits.
        package static let tls13 = 0
        /// TLS 1.2 to the upstream, which has been told that the client has ended.
        package static let tls12 = 1
        /// Plain on both sides, with input that has not been passed on. The owner was at work on it.
        package static let plain = 3
        /// Plain on both sides; the client's is a Unix socket, at a send to which the owner died. The note is in an extent.
        package static let note = 4
        package static let all = [tls13, tls12, plain, note]
    }

    package static func number(_ slot: Int) -> UInt64 { 0x1000 + UInt64(slot) }

    package static let note = (0..<2_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }

    /// What the client sends in the record that has come in part, and the part of the record that has not come.
    package static let content = Array("a record in two parts".utf8)
    package static var restOfRecord: [UInt8] { Array(record[receivedOfRecord...]) }
    private static let receivedOfRecord = 20
    private static let record = sealed(.aes128GCM, secret(0x10, 32), sequence: 2, content)

    /// Output that the kernel has not taken.
    package static let waiting = (0..<30).map { UInt8(0x80 + $0) }
    /// Plain input that has not been passed on.
    package static let unread = Array("behind it.".utf8)

    /// What the TLS 1.2 upstream seals with.
    package static func upstreamProtection() -> RecordProtection {
        RecordProtection(
            suite: .ecdheRSAWithAES128GCM,
            state: DirectionState(
                secret: SecretBytes(copying: secret(0x30, 20).span.bytes), sequence: 1, explicitNonce: 5))
    }

    package static let image = makeImage(version: 2)

    /// The same, but for slot 3, which is a page: it has used "GET / HTTP/1.1", CR, LF and "x".
    package static let pageImage = {
        var image = SampleArena.image
        image.storePage()
        return image
    }()

    package static func makeImage(version: UInt32) -> ArenaImage {
        var image = ArenaImage(version: version, slotCount: 6, extentCount: 8, owner: owner)
        // A send of 8 bytes of slot 4's client leg, from position 12 on, of which the kernel took 5.
        for (offset, value) in [(64, UInt32(2 * Slot.note + 1)), (68, 8), (136, 5)] { image.store(value, at: offset) }
        image.store(UInt64(12), at: 72)
        image.storeTLS13()
        image.storeTLS12()
        image.store(UInt64(9), at: ArenaImage.slot(2) + 16)
        image.storePlain()
        image.storeNote()
        // A slot that was being zeroed.
        image.store([UInt8](repeating: 0xA5, count: ArenaImage.slotSize), at: ArenaImage.slot(5))
        image.store(UInt32(2), at: ArenaImage.slot(5))
        return image
    }

    fileprivate static func secret(_ first: UInt8, _ count: Int) -> [UInt8] { (0..<count).map { first &+ UInt8($0) } }

    private static func sealed(
        _ suite: CipherSuite, _ secret: [UInt8], sequence: UInt64, _ content: [UInt8]
    ) -> [UInt8] {
        var protection = RecordProtection(
            suite: suite,
            state: DirectionState(secret: SecretBytes(copying: secret.span.bytes), sequence: sequence))
        return protection.seal(content)
    }

    fileprivate static var inputOfTLS13: [UInt8] { Array(record[..<receivedOfRecord]) }
}

extension RecordProtection {
    /// A record of application data.
    package mutating func seal(_ content: [UInt8]) -> [UInt8] {
        var record = [UInt8](repeating: 0, count: content.count + 64)
        let count = record.withUnsafeMutableBytes { output in
            content.withUnsafeBytes { seal(.applicationData, $0, to: output.baseAddress!) }
        }
        return Array(record.prefix(count))
    }
}

// MARK: The sessions

extension ArenaImage {
    fileprivate mutating func storeTLS13() {
        let slot = SampleArena.Slot.tls13
        begin(slot, current: 1, generation: 3, readBases: (5, 0), writeBases: (0, 3))
        store(UInt32(7), at: ArenaImage.slot(slot) + 84)
        store(
            SampleFacts.encoded(client: SampleFacts.tls13Server), count: SampleFacts.tls13Server.count + 4, slot: slot)
        var client = LegBytes(consumed: 100, produced: 300, flags: 1)
        client.inputBase = 100
        client.inputExtent = 2
        client.reading = (SampleArena.secret(0x10, 32), 2, 0, 0)
        client.writing = (SampleArena.secret(0x50, 32), 7, 0, 40)
        client.inARow = [1, 0, 2, 0]
        client.paidKeyUpdates = 5
        store(client, slot: slot, state: 1, 0)
        var upstream = LegBytes(consumed: 50, produced: 40, flags: 0)
        upstream.outputBase = 10
        upstream.outputExtent = 1
        store(upstream, slot: slot, state: 1, 1)
        store(noteOffset: SampleFacts.tls13Server.count + 4, count: 0, extent: ArenaImage.none, slot: slot, state: 1)
        // The state that does not count is of before a KeyUpdate.
        client.reading.secret = SampleArena.secret(0xC0, 32)
        client.consumed = 20
        store(client, slot: slot, state: 0, 0)
        store(SampleArena.inputOfTLS13, inExtent: 2)
        store(SampleArena.waiting, inExtent: 1)
    }

    fileprivate mutating func storeTLS12() {
        let slot = SampleArena.Slot.tls12
        begin(slot, current: 0, generation: 1, readBases: (0, 0), writeBases: (0, 0))
        let facts = SampleFacts.encoded(upstream: SampleFacts.tls12Client)
        store(facts + Array("named".utf8), count: facts.count, slot: slot)
        // Read closed.
        store(LegBytes(consumed: 80, produced: 0, flags: 2), slot: slot, state: 0, 0)
        // TLS, write closed, ending.
        var upstream = LegBytes(consumed: 0, produced: 200, flags: 1 | 4 | 16)
        upstream.reading = (SampleArena.secret(0x30, 20), 1, 0, 0)
        upstream.writing = (SampleArena.secret(0x70, 20), 3, 12, 9)
        store(upstream, slot: slot, state: 0, 1)
        store(noteOffset: facts.count, count: 5, extent: ArenaImage.none, slot: slot, state: 0)
    }

    fileprivate mutating func storePlain() {
        let slot = SampleArena.Slot.plain
        begin(slot, current: 1, generation: 2, readBases: (0, 0), writeBases: (0, 0))
        store(UInt32(1), at: ArenaImage.slot(slot) + 8)
        store(SampleFacts.encoded(), count: 4, slot: slot)
        var client = LegBytes(consumed: 20, produced: 0, flags: 0)
        client.inputExtent = 3
        store(client, slot: slot, state: 1, 0)
        store(LegBytes(consumed: 0, produced: 20, flags: 0), slot: slot, state: 1, 1)
        store(noteOffset: 4, count: 0, extent: ArenaImage.none, slot: slot, state: 1)
        store([UInt8](repeating: 0x20, count: 20) + SampleArena.unread, inExtent: 3)
    }

    fileprivate mutating func storePage() {
        let slot = SampleArena.Slot.plain
        store(UInt32(3), at: ArenaImage.slot(slot) + 64)
        store(LegBytes(consumed: 0, produced: 0, flags: 0), slot: slot, state: 1, 1)
        store([10, 0, 0, 1, 0, 0, 0, 17], at: ArenaImage.leg(slot: slot, state: 1, 2) + 12)
    }

    fileprivate mutating func storeNote() {
        let slot = SampleArena.Slot.note
        begin(slot, current: 0, generation: 1, readBases: (0, 0), writeBases: (0, 0))
        store(UInt64(12), at: ArenaImage.slot(slot) + 88)
        store(UInt32(1), at: ArenaImage.slot(slot) + 104)
        store(UInt32(4), at: ArenaImage.slot(slot) + 68)
        var client = LegBytes(consumed: 40, produced: 20, flags: 0)
        client.outputExtent = 4
        store(client, slot: slot, state: 0, 0)
        store(LegBytes(consumed: 20, produced: 40, flags: 0), slot: slot, state: 0, 1)
        store(noteOffset: 50, count: SampleArena.note.count, extent: 5, slot: slot, state: 0)
        store(SampleArena.waiting, inExtent: 4)
        store(SampleFacts.encoded() + [UInt8](repeating: 0, count: 46) + SampleArena.note, inExtent: 5)
    }

    // MARK: A slot's parts

    private mutating func begin(
        _ slot: Int, current: UInt32, generation: UInt64, readBases: (UInt64, UInt64), writeBases: (UInt64, UInt64)
    ) {
        let place = ArenaImage.slot(slot)
        store(UInt32(1), at: place)
        store(current, at: place + 4)
        store(generation, at: place + 16)
        store(SampleArena.number(slot), at: place + 24)
        for (offset, base) in [(32, readBases.0), (40, readBases.1), (48, writeBases.0), (56, writeBases.1)] {
            store(base, at: place + offset)
        }
        store(UInt32(1), at: place + 64)
        store(UInt64(1_000), at: place + 72)
    }

    private mutating func store(_ facts: [UInt8], count: Int, slot: Int) {
        store(UInt32(count), at: ArenaImage.slot(slot) + 68)
        store(facts, at: ArenaImage.facts(slot: slot))
    }

    private mutating func store(noteOffset: Int, count: Int, extent: UInt32, slot: Int, state: Int) {
        let place = ArenaImage.leg(slot: slot, state: state, 2)
        store(extent, at: place)
        store(UInt32(noteOffset), at: place + 4)
        store(UInt32(count), at: place + 8)
    }

    private mutating func store(_ leg: LegBytes, slot: Int, state: Int, _ index: Int) {
        let place = ArenaImage.leg(slot: slot, state: state, index)
        for (offset, value) in [(0, leg.inputBase), (8, leg.consumed), (16, leg.outputBase), (24, leg.produced)] {
            store(value, at: place + offset)
        }
        for (offset, value) in [(32, leg.inputExtent), (36, leg.outputExtent), (40, ArenaImage.none), (48, leg.flags)] {
            store(value, at: place + offset)
        }
        store(leg.inARow, at: place + 52)
        store(leg.paidKeyUpdates, at: place + 56)
        for (offset, key) in [(64, leg.reading), (136, leg.writing)] {
            store(key.secret, at: place + offset)
            store(key.sequence, at: place + offset + 48)
            store(key.nonce, at: place + offset + 56)
            store(key.blocks, at: place + offset + 64)
        }
    }
}

private struct LegBytes {
    typealias Key = (secret: [UInt8], sequence: UInt64, nonce: UInt64, blocks: UInt64)
    var inputBase: UInt64 = 0
    var consumed: UInt64
    var outputBase: UInt64 = 0
    var produced: UInt64
    var inputExtent = ArenaImage.none
    var outputExtent = ArenaImage.none
    var flags: UInt32
    var inARow: [UInt8] = [0, 0, 0, 0]
    var paidKeyUpdates: UInt32 = 0
    var reading: Key = ([], 0, 0, 0)
    var writing: Key = ([], 0, 0, 0)

    init(consumed: UInt64, produced: UInt64, flags: UInt32) {
        (self.consumed, self.produced, self.flags) = (consumed, produced, flags)
    }
}

/// Snapshots without traffic secrets, by `docs/snapshot-format.md`.
package enum SampleFacts {
    package static let tls13Server = snapshot([
        (1, [2]), (2, [0x13, 0x01]), (3, zeros(32)), (5, zeros(32)), (9, SampleArena.secret(0x90, 32)),
        (11, Array("example.org".utf8)), (12, Array("h2".utf8)),
    ])
    package static let tls12Client = snapshot([
        (1, [1]), (2, [0xC0, 0x2F]), (3, zeros(20)), (5, zeros(20)), (7, zeros(8)), (16, [2]),
    ])

    /// What a slot has of two legs; nothing of one that is plain.
    package static func encoded(client: [UInt8] = [], upstream: [UInt8] = []) -> [UInt8] {
        func length(_ bytes: [UInt8]) -> [UInt8] { withUnsafeBytes(of: UInt16(bytes.count)) { Array($0) } }
        return length(client) + length(upstream) + client + upstream
    }

    package static func snapshot(_ fields: [(tag: UInt8, value: [UInt8])]) -> [UInt8] {
        fields.reduce(into: Array("BTNc".utf8) + [1]) { bytes, field in
            bytes += [field.tag, 0, 0, UInt8(field.value.count >> 8), UInt8(field.value.count & 0xFF)] + field.value
        }
    }

    private static func zeros(_ count: Int) -> [UInt8] { Array(repeating: 0, count: count) }
}
