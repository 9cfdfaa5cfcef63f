internal import Glibc
package import SessionEngine

/// What a wild write may have left in the sample's memory.
package struct ArenaDamage: Sendable {
    private var changes: [(offset: Int, bytes: [UInt8])] = []
    /// What is damaged: the sample, or the one with a page.
    private let image: ArenaImage

    /// Reads changes: for each a region (1 byte), an offset there (2), a length (1) and that many bytes, at most 64.
    package init(reading input: UnsafeRawBufferPointer) {
        image = input.first ?? 0 < 128 ? SampleArena.image : SampleArena.pageImage
        var rest = input[...]
        while rest.count > 4, changes.count < 64 {
            let head = Array(rest.prefix(4))
            let bytes = Array(rest.dropFirst(4).prefix(Int(head[3]) % 64 + 1))
            rest = rest.dropFirst(4 + bytes.count)
            add(region: Int(head[0]), at: Int(head[1]) | Int(head[2]) << 8, bytes)
        }
    }

    /// A few changes at random, the same for the same seed.
    package init(seed: UInt64) {
        var random = DamageRandom(seed: seed)
        image = seed % 3 == 0 ? SampleArena.pageImage : SampleArena.image
        for _ in 0...random.next(5) {
            // Slots with sessions most of all, and fields of four and eight bytes.
            let slots = SampleArena.Slot.all
            let region = random.next(4) > 0 ? slots[random.next(slots.count)] + 1 : random.next(15)
            switch random.next(6) {
            case 0: add(region: region, at: random.next(1 << 16), [UInt8(random.next(256))])
            case 1: add(region: region, at: 8 * random.next(128), random.bytes(random.next(40) + 1))
            case 2: add(region: region, at: 8 * random.next(256), random.bytes(8))
            case 3: add(region: region, at: 8 * random.next(125), random.extreme64)
            default: add(region: region, at: 4 * random.next(250), random.extreme32)
            }
        }
    }

    private mutating func add(region: Int, at offset: Int, _ bytes: [UInt8]) {
        let (start, length) =
            switch region % 15 {
            case 0: (0, 160)
            case let slot where slot <= image.slotCount: (ArenaImage.slot(slot - 1), ArenaImage.slotSize)
            case let region: (image.extent(region - image.slotCount - 1), 4096)
            }
        changes.append((start + offset % max(1, length - bytes.count), bytes))
    }

    /// What the reader has made of an arena that was damaged.
    package enum Outcome: Equatable {
        case refused(ArenaError)
        /// So many sessions were adopted, and so many were lost.
        case adopted(Int, lost: Int)
    }

    /// Has an engine take a damaged copy of the sample over and work on it, and then a second one, which must find nothing
    /// that is impossible: the first has accepted what it has kept.
    ///
    /// - Returns: what the first made of it, and why the second has lost sessions.
    package func strike(seed: UInt64) throws -> (outcome: Outcome, lostLater: [LostSession]) {
        let sockets = try SampleSockets()
        let memory = try image.memory()
        defer { close(memory) }
        for change in changes { pwrite(memory, change.bytes, change.bytes.count, off_t(change.offset)) }
        var random = DamageRandom(seed: seed)
        let owner = Arena.owner(of: memory)
        let former: FormerEnd =
            owner == 0 ? .relinquished : random.next(2) == 0 ? .killed(owner: owner) : .fault(owner: owner)
        let outcome: Outcome
        do throws(ArenaError) {
            var first = try Engine(
                taking: Arena(mapping: memory), as: 2, after: former, sockets: { sockets.duplicates($0.slot) },
                respond: SamplePage.respond)
            outcome = .adopted(first.sessionCount, lost: first.lost.count)
            Self.work(on: &first, sockets, &random)
        } catch {
            return (.refused(error), [])
        }
        var second = try Engine(
            taking: Arena(mapping: memory), as: 3, sockets: { sockets.duplicates($0.slot) },
            respond: SamplePage.respond)
        let lost = second.lost
        Self.work(on: &second, sockets, &random)
        for parcel in second.extract(upTo: .max) { parcel.take()?.closeSockets() }
        return (outcome, lost)
    }

    private static func work(
        on engine: inout Engine, _ sockets: borrowing SampleSockets, _ random: inout DamageRandom
    ) {
        for _ in 0..<2 {
            for pair in sockets.peers {
                let bytes = Array(repeatElement(random.bytes(8), count: random.next(40) + 1).joined())
                send(pair.peer, bytes, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
                var received = [UInt8](repeating: 0, count: 4_096)
                recv(pair.peer, &received, received.count, Int32(MSG_DONTWAIT))
            }
            engine.step(waiting: 0)
            for session in engine.list(after: nil, limit: .max) {
                if random.next(3) == 0 {
                    _ = engine.setNote(
                        session.number, [UInt8](repeating: 7, count: random.next(4) == 0 ? 3_000 : random.next(1_100)))
                }
                if random.next(2) == 0 { engine.goOn([session.number]) }
                if random.next(8) == 0 { engine.setIdleLimit(session.number, UInt32(random.next(100_000))) }
            }
            engine.setLimits(SessionLimits(), moveEvery: UInt32(random.next(3)))
            engine.step(waiting: 0)
        }
        if let session = engine.list(after: nil, limit: 1).first, random.next(4) == 0 {
            for parcel in engine.extract([session.number]).parcels { parcel.take()?.closeSockets() }
        }
        engine.step(waiting: 0)
        _ = engine.takeEvents()
        _ = engine.takeReleased()
    }
}

extension SessionAtRest {
    /// Closes both sockets; the session is over.
    fileprivate consuming func closeSockets() {
        close(client.descriptor)
        close(upstream.descriptor)
    }
}

private struct DamageRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

    mutating func next(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(next(256)) } }

    /// A field of eight bytes at the edge of what it can be, or near what it is.
    var extreme64: [UInt8] {
        mutating get {
            let values: [UInt64] = [
                0, 1, 20, 40, 100, .max, .max - 1, 1 << 63, 1 << 62, 1 << 62 - 1, 65_535, 65_536, 65_537,
                UInt64(next(400)), UInt64(next(100_000)),
            ]
            let value = values[next(values.count)]
            return withUnsafeBytes(of: value) { Array($0) }
        }
    }

    /// The same of four bytes.
    var extreme32: [UInt8] {
        mutating get {
            let values: [UInt32] = [
                0, 1, 2, 3, 4, 7, 8, .max, .max - 1, 1 << 31, 1_048, 65_535, 65_536, 65_537, UInt32(next(64)),
                UInt32(next(256)), UInt32(next(3_000)),
            ]
            let value = values[next(values.count)]
            return withUnsafeBytes(of: value) { Array($0) }
        }
    }
}
