internal import BatonCore
internal import CSessionArena
internal import Libc
internal import TLSRecords

/// One turn of work on one session: what has come is read, opened, sealed and written, as far as it goes.
///
/// Four rules make a session survive its worker at any instruction:
/// 1. Input is read straight into the arena, at the place that its position in the stream says.
/// 2. Output is made beside its input and published by one store together with all that moved with it.
/// 3. Only published output is given to write(2), and it stays as it is until the kernel has taken it.
/// 4. Input is given up only when the output made from it has been published.
///
/// Sealing again what was sealed and not published repeats a sequence number of a record that nobody has seen.
struct Turn: ~Copyable {
    let record: SessionRecord
    /// Plaintext between two TLS legs; it is never in the arena.
    let plaintext: UnsafeMutableRawBufferPointer
    /// Milliseconds of a clock that does not go back.
    let now: UInt64
    let limits: SessionLimits

    private let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
    private static let extentSize = UInt64(ARENA_EXTENT_SIZE)
    /// More than any suite adds to a record and the KeyUpdate before it.
    static let overhead = 64

    /// What is read and discarded of a peer that has got its alert.
    private static let maxDiscarded = 1 << 20
    /// What ends a leg's input for good.
    static let deaf = ARENA_LEG_FAILED | ARENA_LEG_RESETTING

    init(record: SessionRecord, plaintext: UnsafeMutableRawBufferPointer, now: UInt64, limits: SessionLimits) {
        self.record = record
        self.plaintext = plaintext
        self.now = now
        self.limits = limits
    }

    // MARK: Reading

    /// Reads what has come, if there is room for it.
    ///
    /// - Parameter isAllowed: what `mayRead` says of the leg.
    func read(_ leg: inout Leg, isAllowed: Bool, arena: borrowing Arena, pool: inout ExtentPool) {
        guard !leg.isReset else { return }
        if record.leg(leg.index).pointee.flags & ARENA_LEG_FAILED != 0 { return discard(&leg) }
        guard isAllowed, let room = inputRoom(leg, arena, &pool) else { return }
        let most = leg.pace.isOn ? min(room.count, leg.pace.allowance(at: now)) : room.count
        // read(2) of nothing looks like the end.
        guard most > 0 else { return leg.pace.hold(at: now) }
        while true {
            let count = recv(leg.descriptor, room.baseAddress, most, flags)
            Step.pass()
            if count > 0 {
                leg.noteRead(count)
                if leg.pace.isOn { leg.pace.spend(count, at: now) }
                if leg.isPlain { leg.messages += 1 }
            } else if count == 0 {
                leg.hasEnded = true
                if leg.isUnwritable { breakOff(&leg) }
            } else if errno == EINTR {
                continue
            } else if errno != EAGAIN {
                breakOff(&leg)
            }
            return
        }
    }

    /// Reads what a peer still sends that has broken the protocol.
    private func discard(_ leg: inout Leg) {
        while !leg.isSpent {
            let count = recv(leg.descriptor, plaintext.baseAddress, plaintext.count, flags)
            if count > 0 {
                leg.discarded += count
                leg.isSpent = leg.discarded > Turn.maxDiscarded
            } else if count < 0, errno == EINTR {
                continue
            } else {
                leg.isSpent = count == 0 || errno != EAGAIN
                return
            }
        }
    }

    /// What epoll(7) is to report of a leg. A leg that waits for an extent is not asked what it has for it.
    func interest(_ leg: borrowing Leg, other: borrowing Leg, isStarved: Bool) -> UInt32 {
        guard !leg.isReset else { return 0 }
        let place = record.leg(leg.index)
        let reads =
            place.pointee.flags & ARENA_LEG_FAILED != 0
            ? !leg.isSpent
            : mayRead(leg, other: other) && !(isStarved && place.pointee.input_extent == ARENA_NO_EXTENT)
        let writes = place.pointee.produced > leg.written && !leg.isUnwritable
        return (reads ? EPOLLIN.rawValue : 0) | (writes ? EPOLLOUT.rawValue : 0)
    }

    /// Whether a leg may be read whose input goes to `other`, which is the leg itself where it is echoed.
    func mayRead(_ leg: borrowing Leg, other: borrowing Leg) -> Bool {
        let place = record.leg(leg.index)
        guard !leg.hasEnded, !leg.isReset, leg.pace.heldUntil == 0,
            place.pointee.flags & (ARENA_LEG_READ_CLOSED | Turn.deaf) == 0,
            !other.isReset, !isFull(other)
        else { return false }
        return place.pointee.input_extent == ARENA_NO_EXTENT
            || leg.received - place.pointee.consumed < Turn.extentSize / 2
    }

    /// Whether as much waits for a leg's peer as may.
    func isFull(_ leg: borrowing Leg) -> Bool {
        !leg.isReset && record.leg(leg.index).pointee.produced - leg.written >= UInt64(max(1, limits.bufferSize))
    }

    /// Whether the session's end is a matter of time: it is not for the peers to say when.
    func isClosing(_ kind: SessionKind) -> Bool {
        let (client, upstream) = (record.leg(.client).pointee.flags, record.leg(.upstream).pointee.flags)
        let last = kind == .relay ? upstream : client
        return (client | upstream) & Turn.deaf != 0 || client & last & ARENA_LEG_READ_CLOSED != 0
    }

    private func inputRoom(
        _ leg: borrowing Leg, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) -> UnsafeMutableRawBufferPointer? {
        let place = record.leg(leg.index)
        if place.pointee.input_extent == ARENA_NO_EXTENT {
            guard let extent = pool.take(keeping: pool.reserve) else { return nil }
            place.pointee.input_extent = extent
            place.pointee.input_base = leg.received
            record.publish()
        }
        let base = arena.extent(place.pointee.input_extent)
        let waiting = leg.received - place.pointee.consumed
        let given = place.pointee.consumed - place.pointee.input_base
        if Turn.extentSize - given - waiting < UInt64(Connection.longestRecord), waiting <= given {
            // The copy lies where nothing waits, so either base is good until the store.
            base.copyMemory(from: base + Int(given), byteCount: Int(waiting))
            place.pointee.input_base = place.pointee.consumed
            record.publish()
        }
        let used = Int(leg.received - place.pointee.input_base)
        guard used < Int(Turn.extentSize) else { return nil }
        return UnsafeMutableRawBufferPointer(start: base + used, count: Int(Turn.extentSize) - used)
    }

    // MARK: From one leg to the other

    /// Makes output for `to` of what has come from `from`, as much as there is room for, and passes its end on.
    func relay(_ from: inout Leg, _ to: inout Leg, arena: borrowing Arena, pool: inout ExtentPool) {
        let source = record.leg(from.index)
        guard source.pointee.flags & Turn.deaf == 0, record.leg(to.index).pointee.flags & ARENA_LEG_RESETTING == 0
        else {
            return
        }
        guard !to.isReset else { return }
        do throws(TLSError) {
            guard try relayInput(&from, &to, arena, &pool) else { return }
        } catch {
            // Nothing more can be said to the side that takes what this one says (RFC 5246 section 6.1): it must not look whole.
            to.cause = .protocolError(to.side, error)
            return resetBehindOutput([from.index, to.index])
        }
        if source.pointee.flags & ARENA_LEG_BROKEN != 0 {
            let isWhole =
                source.pointee.flags & record.leg(to.index).pointee.flags & ARENA_LEG_READ_CLOSED != 0 && from.isShut
            if !isWhole { resetBehindOutput([to.index]) }
            return
        }
        guard from.hasEnded, source.pointee.flags & (ARENA_LEG_READ_CLOSED | Turn.deaf) == 0 else { return }
        guard from.isPlain else {
            // RFC 8446 section 6.1: an end without close_notify is a truncation.
            breakOff(&from)
            return resetBehindOutput([to.index])
        }
        guard outputRoom(to, for: 0, arena, &pool) != nil else { return }
        source.pointee.flags |= ARENA_LEG_READ_CLOSED
        end(&to, arena, &pool)
        record.publish()
    }

    /// - Returns: whether all that can be made of the input has been.
    private func relayInput(
        _ from: inout Leg, _ to: inout Leg, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) throws(TLSError) -> Bool {
        let source = record.leg(from.index)
        while source.pointee.flags & (ARENA_LEG_READ_CLOSED | Turn.deaf) == 0 {
            let waiting = Int(from.received - source.pointee.consumed)
            guard waiting > 0 else { break }
            guard !isFull(to) else { return false }
            let input = UnsafeRawBufferPointer(
                start: arena.extent(source.pointee.input_extent)
                    + Int(source.pointee.consumed - source.pointee.input_base),
                count: waiting)
            let outcome =
                from.isPlain
                ? try relayPlain(input, from.index, &to, arena, &pool)
                : try relayRecord(input, &from, &to, arena, &pool)
            switch outcome {
            case .moved: continue
            case .needsRoom: return false
            case .needsInput: return true
            }
        }
        return true
    }

    // MARK: Breaks

    /// Whether a leg's connection was found reset, and the slot does not say so yet.
    func isFoundBroken(_ isReset: Bool, _ leg: LegIndex) -> Bool {
        isReset && record.leg(leg).pointee.flags & (Turn.deaf | ARENA_LEG_BROKEN) == 0
    }

    /// A leg's connection is gone, or its stream has been cut off. What has come of it still goes to the other side.
    func breakOff(_ leg: inout Leg) {
        let place = record.leg(leg.index)
        if leg.cause == nil { leg.cause = .reset(leg.side) }
        if place.pointee.flags & (Turn.deaf | ARENA_LEG_BROKEN) == 0 {
            place.pointee.flags |= ARENA_LEG_BROKEN
            place.pointee.input_count =
                place.pointee.input_extent == ARENA_NO_EXTENT ? 0 : UInt32(leg.received - place.pointee.input_base)
            record.publish()
        }
        leg.reset()
    }

    /// Has RST follow what is in the legs' output: nothing else is made for them, and nothing more of them is used.
    func resetBehindOutput(_ legs: [LegIndex]) {
        for leg in legs where record.leg(leg).pointee.flags & ARENA_LEG_BROKEN == 0 {
            record.leg(leg).pointee.flags |= ARENA_LEG_RESETTING
        }
        record.publish()
    }

    enum Outcome { case moved, needsInput, needsRoom }

    private func relayPlain(
        _ input: UnsafeRawBufferPointer, _ from: LegIndex, _ to: inout Leg, _ arena: borrowing Arena,
        _ pool: inout ExtentPool
    ) throws(TLSError) -> Outcome {
        Step.take(input)
        let count = min(input.count, to.longestContent)
        guard let output = outputRoom(to, for: count, arena, &pool) else { return .needsRoom }
        let produced = try to.put(UnsafeRawBufferPointer(rebasing: input[..<count]), at: output)
        note(to)
        record.leg(to.index).pointee.produced += UInt64(produced)
        publish(using: count, of: input.count, from: from, arena, &pool)
        return .moved
    }

    private func relayRecord(
        _ input: UnsafeRawBufferPointer, _ from: inout Leg, _ to: inout Leg, _ arena: borrowing Arena,
        _ pool: inout ExtentPool
    ) throws(TLSError) -> Outcome {
        guard let length = from.connection.firstRecord(input) else { return .needsInput }
        guard mayOpen(from, to, &pool), let output = outputRoom(to, for: Connection.longestRecord, arena, &pool) else {
            return .needsRoom
        }
        from.connection.noteTime(now)
        // Plaintext for a plain leg is made where it stays.
        let target = to.isPlain ? output : plaintext.baseAddress!
        let part: Connection.OpenedPart
        do {
            part = try from.connection.open(UnsafeRawBufferPointer(rebasing: input[..<length]), to: target)
        } catch {
            fail(&from, resetting: to.index, error, arena, &pool)
            return .needsInput
        }
        var used = length
        var replaced = ARENA_NO_EXTENT
        switch part {
        case .data(let count):
            let content = UnsafeRawBufferPointer(start: target, count: count)
            Step.take(content)
            let produced = to.isPlain ? count : try to.putAll(content, at: output)
            from.messages += 1
            note(to)
            record.leg(to.index).pointee.produced += UInt64(produced)
        case .closeNotify:
            // What follows a close_notify is dropped (RFC 8446 section 6.1).
            used = input.count
            end(&to, arena, &pool)
            replaced = storeFragments(from, arena, &pool)
        case .message:
            answer(&from, arena, &pool)
            replaced = storeFragments(from, arena, &pool)
        }
        note(from)
        publish(using: used, of: input.count, from: from.index, arena, &pool)
        pool.giveBack(replaced, to: arena)
        return .moved
    }

    /// Puts what the leg has to say by itself into its output, where there is room for it.
    func answer(_ leg: inout Leg, _ arena: borrowing Arena, _ pool: inout ExtentPool) {
        guard leg.answersCount > 0 else { return }
        let output = outputRoom(leg, for: 0, arena, &pool)!
        record.leg(leg.index).pointee.produced += UInt64(leg.connection.takeAnswers(to: output))
        note(leg)
    }

    /// What the leg's output is made of has ended in order: so does the leg, behind its output, in which there is room.
    func end(_ leg: inout Leg, _ arena: borrowing Arena, _ pool: inout ExtentPool) {
        leg.toldEndAt = MonotonicTime.now
        if !leg.isPlain {
            leg.connection.close()
            answer(&leg, arena, &pool)
        }
        record.leg(leg.index).pointee.flags |= ARENA_LEG_ENDING
    }

    /// A peer broke the protocol: it is sent its alert, and the other side, if there is one, is reset behind its output.
    func fail(
        _ leg: inout Leg, resetting other: LegIndex?, _ error: TLSError, _ arena: borrowing Arena,
        _ pool: inout ExtentPool
    ) {
        leg.cause = .protocolError(leg.side, error)
        let place = record.leg(leg.index)
        guard leg.answersCount > 0, !leg.isReset else {
            // There is nothing to tell it, or nobody: what it has sent beside has been dropped.
            leg.received = place.pointee.consumed
            breakOff(&leg)
            return
        }
        answer(&leg, arena, &pool)
        let replaced = storeFragments(leg, arena, &pool)
        place.pointee.flags |= ARENA_LEG_FAILED | ARENA_LEG_ENDING | ARENA_LEG_READ_CLOSED
        if let other, record.leg(other).pointee.flags & ARENA_LEG_BROKEN == 0 {
            record.leg(other).pointee.flags |= ARENA_LEG_RESETTING
        }
        record.publish()
        pool.giveBack(replaced, to: arena)
        leg.waitsForPeer = true
    }

    // MARK: Writing

    /// Gives the kernel what it takes of the output, and the end after it.
    func write(_ leg: inout Leg, arena: borrowing Arena, pool: inout ExtentPool) {
        guard !leg.isReset, !leg.isUnwritable else { return }
        let place = record.leg(leg.index)
        while true {
            while place.pointee.produced > leg.written {
                let start = arena.extent(place.pointee.output_extent) + Int(leg.written - place.pointee.output_base)
                let output = UnsafeRawBufferPointer(start: start, count: Int(place.pointee.produced - leg.written))
                let failed = leg.send(output, record.slot, arena)
                Step.pass()
                switch failed {
                case 0, EINTR: continue
                case EAGAIN: return
                default: return stopWriting(&leg, failed)
                }
            }
            guard place.pointee.flags & ARENA_LEG_RESETTING == 0, leg.owesKeyUpdate,
                outputRoom(leg, for: 0, arena, &pool) != nil
            else { break }
            leg.connection.sendOwedKeyUpdate()
            answer(&leg, arena, &pool)
            record.publish()
        }
        if place.pointee.flags & ARENA_LEG_RESETTING != 0 {
            // RST overtakes what the kernel has not sent, and makes some systems throw away what they have not read.
            if leg.isUnix || stream_unacknowledged(leg.descriptor) == 0 {
                leg.reset()
                Step.pass()
            }
        } else if place.pointee.flags & ARENA_LEG_ENDING != 0, !leg.isShut {
            leg.isShut = true
            shutdown(leg.descriptor, Int32(SHUT_WR))
            Step.pass()
        }
    }

    /// The kernel takes no more output. A peer on a Unix socket is found closed by the first write(2), where one on TCP would
    /// answer it with RST: what it has sent before is read first.
    private func stopWriting(_ leg: inout Leg, _ error: CInt) {
        let flags = record.leg(leg.index).pointee.flags
        guard leg.isUnix, error == EPIPE, !leg.hasEnded, flags & (ARENA_LEG_READ_CLOSED | Turn.deaf) == 0 else {
            return breakOff(&leg)
        }
        leg.isUnwritable = true
    }

    // MARK: Extents

    /// Whether all that opening a record of `from` may bring about has a place.
    func mayOpen(_ from: borrowing Leg, _ to: borrowing Leg, _ pool: inout ExtentPool) -> Bool {
        // One for a message that begins, and one for each leg's output that has none.
        let lacking = [from.index, to.index].count { record.leg($0).pointee.output_extent == ARENA_NO_EXTENT }
        guard pool.available > lacking else {
            pool.refuse()
            return false
        }
        let place = record.leg(from.index)
        return place.pointee.output_extent == ARENA_NO_EXTENT || place.pointee.produced == from.written
            || Turn.outputFits(0, inRecordsOf: from.longestContent, place)
    }

    /// Whether there is room for `count` bytes of content, in as many records as the peer's limit makes of them, each
    /// with a KeyUpdate before it, and for what the leg has to say by itself.
    private static func outputFits(
        _ count: Int, inRecordsOf most: Int, _ place: UnsafeMutablePointer<arena_leg>
    ) -> Bool {
        let need = count + (count / most + 1) * overhead + Connection.controlRoom
        return extentSize - (place.pointee.produced - place.pointee.output_base) >= UInt64(need)
    }

    /// Room for `count` bytes of content and for what may have to go before them; `nil` while earlier output is in
    /// the way, or no extent is free.
    func outputRoom(
        _ leg: borrowing Leg, for count: Int, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) -> UnsafeMutableRawPointer? {
        let place = record.leg(leg.index)
        if place.pointee.output_extent == ARENA_NO_EXTENT {
            guard let extent = pool.take() else { return nil }
            place.pointee.output_extent = extent
            place.pointee.output_base = place.pointee.produced
        }
        if !Turn.outputFits(count, inRecordsOf: leg.longestContent, place) {
            guard place.pointee.produced == leg.written else { return nil }
            place.pointee.output_base = place.pointee.produced
        }
        return arena.extent(place.pointee.output_extent) + Int(place.pointee.produced - place.pointee.output_base)
    }

    /// Keeps a handshake message of which a part has come. What is published stays as it is: a part that grows is written
    /// behind it, another one elsewhere.
    ///
    /// - Returns: the extent that is free once this is published.
    func storeFragments(
        _ leg: borrowing Leg, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) -> UInt32 {
        let place = record.leg(leg.index)
        let former = place.pointee.fragment_extent
        let formerCount = Int(place.pointee.fragment_count)
        return leg.withFragments { fragments in
            guard !fragments.isEmpty else {
                place.pointee.fragment_extent = ARENA_NO_EXTENT
                place.pointee.fragment_count = 0
                return former
            }
            place.pointee.fragment_count = UInt32(fragments.count)
            if former != ARENA_NO_EXTENT, fragments.count >= formerCount,
                memcmp(fragments.baseAddress!, arena.extent(former), formerCount) == 0
            {
                (arena.extent(former) + formerCount).copyMemory(
                    from: fragments.baseAddress! + formerCount, byteCount: fragments.count - formerCount)
                return ARENA_NO_EXTENT
            }
            let extent = pool.take()!
            arena.extent(extent).copyMemory(from: fragments.baseAddress!, byteCount: fragments.count)
            place.pointee.fragment_extent = extent
            return former
        }
    }

    /// Gives back the extents in which nothing waits: an idle session is its slot.
    func giveBackEmpty(
        _ client: borrowing Leg, _ upstream: borrowing Leg, arena: borrowing Arena, pool: inout ExtentPool
    ) {
        let first = takeEmpty(client)
        let second = takeEmpty(upstream)
        let extents = [first.input, first.output, second.input, second.output]
        guard extents.contains(where: { $0 != ARENA_NO_EXTENT }) else { return }
        record.publish()
        for extent in extents { pool.giveBack(extent, to: arena) }
    }

    private func takeEmpty(_ leg: borrowing Leg) -> (input: UInt32, output: UInt32) {
        let place = record.leg(leg.index)
        var empty = (input: ARENA_NO_EXTENT, output: ARENA_NO_EXTENT)
        if leg.received == place.pointee.consumed || place.pointee.flags & Turn.deaf != 0 {
            swap(&empty.input, &place.pointee.input_extent)
        }
        if leg.written == place.pointee.produced || leg.isReset { swap(&empty.output, &place.pointee.output_extent) }
        return empty
    }

    // MARK: What is published

    /// Publishes what has been made of the first `count` of `waiting` bytes of input, and with it that an input without bytes
    /// needs no memory.
    func publish(
        using count: Int, of waiting: Int, from leg: LegIndex, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) {
        let place = record.leg(leg)
        place.pointee.consumed += UInt64(count)
        var empty = ARENA_NO_EXTENT
        if count == waiting { swap(&empty, &place.pointee.input_extent) }
        record.publish()
        pool.giveBack(empty, to: arena)
    }

    /// Takes over into the working state where a leg's TLS stands.
    func note(_ leg: borrowing Leg) {
        guard !leg.isPlain else { return }
        SessionKeys.store(leg.connection, in: record.leg(leg.index))
    }
}
