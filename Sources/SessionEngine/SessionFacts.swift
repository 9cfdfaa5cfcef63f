internal import BatonCore
internal import CSessionArena
internal import Libc
internal import TLSRecords

/// What stays as it is while a session lives: for each leg that is TLS, a snapshot without traffic secrets. Behind it is the
/// caller's note, which can be replaced. Both are in the slot, or together in an extent if they do not fit.
struct SessionFacts {
    private let client: UnsafeRawBufferPointer
    private let upstream: UnsafeRawBufferPointer

    /// Reads a slot's facts: two lengths of two bytes, and what they are the lengths of.
    init(
        _ slot: UnsafeMutablePointer<arena_slot>, _ state: UnsafeMutablePointer<arena_state>, _ arena: borrowing Arena
    ) throws(AdoptionError) {
        guard let place = Place(slot, state, arena), place.holdsNote(state) else { throw .impossible }
        let bytes = UnsafeRawBufferPointer(start: place.base, count: place.factsCount)
        let first = Int(bytes.loadUnaligned(as: UInt16.self))
        let second = Int(bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        guard 4 + first + second == bytes.count else { throw .impossible }
        client = UnsafeRawBufferPointer(rebasing: bytes[4..<4 + first])
        upstream = UnsafeRawBufferPointer(rebasing: bytes[(4 + first)...])
    }

    func of(_ leg: LegIndex) -> UnsafeRawBufferPointer { leg == .client ? client : upstream }

    /// Where facts and note are.
    private struct Place {
        let base: UnsafeMutableRawPointer
        let capacity: Int
        let factsCount: Int

        /// `nil` if what the slot says is impossible.
        init?(
            _ slot: UnsafeMutablePointer<arena_slot>, _ state: UnsafeMutablePointer<arena_state>,
            _ arena: borrowing Arena
        ) {
            if state.pointee.lasting_extent == ARENA_NO_EXTENT {
                base = UnsafeMutableRawPointer(arena_facts(slot))
                capacity = Int(ARENA_FACTS_MAX)
            } else {
                guard state.pointee.lasting_extent < UInt32(arena.extentCount) else { return nil }
                base = arena.extent(state.pointee.lasting_extent)
                capacity = Int(ARENA_EXTENT_SIZE)
            }
            factsCount = Int(slot.pointee.facts_count)
            guard factsCount >= 4, factsCount <= capacity else { return nil }
        }

        func holdsNote(_ state: UnsafeMutablePointer<arena_state>) -> Bool {
            let (offset, count) = (Int(state.pointee.note_offset), Int(state.pointee.note_count))
            return offset >= factsCount && offset + count <= capacity
        }
    }

    // MARK: The note

    /// A session's note; nothing, if what the slot says is impossible.
    static func note(
        _ slot: UnsafeMutablePointer<arena_slot>, _ state: UnsafeMutablePointer<arena_state>, _ arena: borrowing Arena
    ) -> [UInt8] {
        guard let place = Place(slot, state, arena), place.holdsNote(state), state.pointee.note_count > 0 else {
            return []
        }
        return Array(
            UnsafeRawBufferPointer(
                start: place.base + Int(state.pointee.note_offset), count: Int(state.pointee.note_count)))
    }

    /// Replaces a session's note and publishes that. What is published stays as it is until then.
    ///
    /// - Returns: whether there is room.
    static func replace(
        _ note: [UInt8], _ record: borrowing SessionRecord, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) -> Bool {
        let state = record.state
        guard let place = Place(record.slot, state, arena) else { return false }
        let former = state.pointee.lasting_extent
        let (facts, count) = (place.factsCount, note.count)
        let (begin, end) = (Int(state.pointee.note_offset), Int(state.pointee.note_offset + state.pointee.note_count))
        var base = place.base
        var offset = facts
        if former != ARENA_NO_EXTENT, facts + count <= Int(ARENA_FACTS_MAX) {
            base = UnsafeMutableRawPointer(arena_facts(record.slot))
            base.copyMemory(from: place.base, byteCount: facts)
            state.pointee.lasting_extent = ARENA_NO_EXTENT
        } else if facts + count <= (begin == end ? place.capacity : begin) {
            offset = facts
        } else if end + count <= place.capacity {
            offset = end
        } else {
            guard facts + count <= Int(ARENA_EXTENT_SIZE), let extent = pool.take(keeping: pool.reserve) else {
                return false
            }
            base = arena.extent(extent)
            base.copyMemory(from: place.base, byteCount: facts)
            state.pointee.lasting_extent = extent
        }
        note.withUnsafeBytes { if count > 0 { (base + offset).copyMemory(from: $0.baseAddress!, byteCount: count) } }
        state.pointee.note_offset = UInt32(offset)
        state.pointee.note_count = UInt32(count)
        record.publish()
        if former != state.pointee.lasting_extent { pool.giveBack(former, to: arena) }
        return true
    }

    // MARK: A new session

    /// How many bytes `write` needs.
    static func count(client: borrowing SecretBytes?, upstream: borrowing SecretBytes?, note: [UInt8]) -> Int {
        4 + count(client) + count(upstream) + note.count
    }

    /// Writes the facts and the note of a new session; there is an extent if they need one.
    static func write(
        _ slot: UnsafeMutablePointer<arena_slot>, client: borrowing SecretBytes?, upstream: borrowing SecretBytes?,
        note: [UInt8], _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) {
        let state = arena_state_at(slot, 0)
        let (first, second) = (count(client), count(upstream))
        var output = UnsafeMutableRawPointer(arena_facts(slot))
        if 4 + first + second + note.count > Int(ARENA_FACTS_MAX) {
            state.pointee.lasting_extent = pool.take()!
            output = arena.extent(state.pointee.lasting_extent)
        }
        output.storeBytes(of: UInt16(first), as: UInt16.self)
        output.storeBytes(of: UInt16(second), toByteOffset: 2, as: UInt16.self)
        copy(client, to: output + 4)
        copy(upstream, to: output + 4 + first)
        let count = 4 + first + second
        slot.pointee.facts_count = UInt32(count)
        note.withUnsafeBytes {
            if !$0.isEmpty { (output + count).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        }
        state.pointee.note_offset = UInt32(count)
        state.pointee.note_count = UInt32(note.count)
    }

    private static func count(_ secret: borrowing SecretBytes?) -> Int {
        switch secret {
        case .none: 0
        case .some(let bytes): bytes.count
        }
    }

    private static func copy(_ secret: borrowing SecretBytes?, to output: UnsafeMutableRawPointer) {
        switch secret {
        case .none: break
        case .some(let bytes): bytes.withUnsafeBytes { output.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        }
    }
}
