internal import CSessionArena
internal import Libc
internal import TLSRecords

/// From a leg to itself: by the same rules as from one leg to the other.
extension Turn {
    /// Makes output of what has come, as much as there is room for, and ends behind it when the peer has ended.
    func echo(_ leg: inout Leg, arena: borrowing Arena, pool: inout ExtentPool) {
        let place = record.leg(leg.index)
        guard !leg.isReset, place.pointee.flags & (Turn.deaf | ARENA_LEG_BROKEN) == 0 else { return }
        do throws(TLSError) {
            guard try echoInput(&leg, arena, &pool) else { return }
        } catch {
            return giveUp(&leg, error)
        }
        endBehindInput(&leg, arena, &pool)
    }

    /// Nothing more can be said (RFC 5246 section 6.1): it must not look whole.
    func giveUp(_ leg: inout Leg, _ error: TLSError) {
        leg.cause = .protocolError(leg.side, error)
        resetBehindOutput([leg.index])
    }

    /// Ends the leg when its peer has ended, behind what has been made of its input, which is all.
    func endBehindInput(_ leg: inout Leg, _ arena: borrowing Arena, _ pool: inout ExtentPool) {
        let place = record.leg(leg.index)
        guard leg.hasEnded, place.pointee.flags & (ARENA_LEG_READ_CLOSED | Turn.deaf | ARENA_LEG_BROKEN) == 0 else {
            return
        }
        guard leg.isPlain else {
            // RFC 8446 section 6.1: an end without close_notify is a truncation.
            leg.cause = .reset(leg.side)
            return resetBehindOutput([leg.index])
        }
        guard outputRoom(leg, for: 0, arena, &pool) != nil else { return }
        place.pointee.flags |= ARENA_LEG_READ_CLOSED
        end(&leg, arena, &pool)
        record.publish()
    }

    /// Ends the leg in order, although its peer has not: behind what is there to be sent back, with nothing more of its input.
    ///
    /// - Returns: whether it could.
    func finish(_ leg: inout Leg, _ arena: borrowing Arena, _ pool: inout ExtentPool) -> Bool {
        let place = record.leg(leg.index)
        guard !leg.isReset, place.pointee.flags & (ARENA_LEG_READ_CLOSED | Turn.deaf | ARENA_LEG_BROKEN) == 0,
            outputRoom(leg, for: 0, arena, &pool) != nil
        else { return false }
        end(&leg, arena, &pool)
        // Its end is waited for, so that no reset destroys ours.
        place.pointee.flags |= ARENA_LEG_FAILED | ARENA_LEG_READ_CLOSED
        record.publish()
        leg.waitsForPeer = true
        return true
    }

    /// - Returns: whether all that can be made of the input has been.
    private func echoInput(
        _ leg: inout Leg, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) throws(TLSError) -> Bool {
        let place = record.leg(leg.index)
        while place.pointee.flags & (ARENA_LEG_READ_CLOSED | Turn.deaf | ARENA_LEG_BROKEN) == 0 {
            guard let input = input(of: leg, arena) else { break }
            guard !isFull(leg) else { return false }
            let outcome =
                leg.isPlain
                ? try echoPlain(input, &leg, arena, &pool)
                : try echoRecord(input, &leg, arena, &pool)
            switch outcome {
            case .moved: continue
            case .needsRoom: return false
            case .needsInput: return true
            }
        }
        return true
    }

    /// What has come of a leg and has not been used; `nil`: nothing.
    func input(of leg: borrowing Leg, _ arena: borrowing Arena) -> UnsafeRawBufferPointer? {
        let place = record.leg(leg.index)
        let waiting = Int(leg.received - place.pointee.consumed)
        guard waiting > 0 else { return nil }
        return UnsafeRawBufferPointer(
            start: arena.extent(place.pointee.input_extent)
                + Int(place.pointee.consumed - place.pointee.input_base),
            count: waiting)
    }

    private func echoPlain(
        _ input: UnsafeRawBufferPointer, _ leg: inout Leg, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) throws(TLSError) -> Outcome {
        Step.take(input)
        let count = min(input.count, leg.longestContent)
        guard let output = outputRoom(leg, for: count, arena, &pool) else { return .needsRoom }
        let produced = try leg.put(UnsafeRawBufferPointer(rebasing: input[..<count]), at: output)
        record.leg(leg.index).pointee.produced += UInt64(produced)
        publish(using: count, of: input.count, from: leg.index, arena, &pool)
        return .moved
    }

    private func echoRecord(
        _ input: UnsafeRawBufferPointer, _ leg: inout Leg, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) throws(TLSError) -> Outcome {
        guard let length = leg.connection.firstRecord(input) else { return .needsInput }
        // Room for a record of content is enough for what any other record makes this leg say by itself.
        guard mayOpen(leg, leg, &pool), let output = outputRoom(leg, for: Connection.longestRecord, arena, &pool) else {
            return .needsRoom
        }
        let content: UnsafeRawBufferPointer
        switch openFirst(length, of: input, &leg, arena, &pool) {
        case .content(let bytes): content = bytes
        case .none(let outcome): return outcome
        }
        let produced = try leg.putAll(content, at: output)
        record.leg(leg.index).pointee.produced += UInt64(produced)
        note(leg)
        publish(using: length, of: input.count, from: leg.index, arena, &pool)
        return .moved
    }

    enum Opened {
        /// It is in `plaintext`.
        case content(UnsafeRawBufferPointer)
        case none(Outcome)
    }

    /// Opens a record for the leg that it has come by, and does all that one without content brings about.
    ///
    /// - Parameter length: of the record, with which the input begins.
    func openFirst(
        _ length: Int, of input: UnsafeRawBufferPointer, _ leg: inout Leg, _ arena: borrowing Arena,
        _ pool: inout ExtentPool
    ) -> Opened {
        leg.connection.noteTime(now)
        let part: Connection.OpenedPart
        do {
            part = try leg.connection.open(
                UnsafeRawBufferPointer(rebasing: input[..<length]), to: plaintext.baseAddress!)
        } catch {
            fail(&leg, resetting: nil, error, arena, &pool)
            return .none(.needsInput)
        }
        guard case .data(let count) = part else {
            publish(part, using: length, of: input.count, &leg, arena, &pool)
            return .none(.moved)
        }
        let content = UnsafeRawBufferPointer(start: plaintext.baseAddress!, count: count)
        Step.take(content)
        leg.messages += 1
        return .content(content)
    }

    /// Publishes what a record without content has brought about.
    private func publish(
        _ part: Connection.OpenedPart, using length: Int, of waiting: Int, _ leg: inout Leg, _ arena: borrowing Arena,
        _ pool: inout ExtentPool
    ) {
        var used = length
        if case .closeNotify = part {
            // What follows a close_notify is dropped (RFC 8446 section 6.1).
            used = waiting
            end(&leg, arena, &pool)
        } else {
            answer(&leg, arena, &pool)
        }
        let replaced = storeFragments(leg, arena, &pool)
        note(leg)
        publish(using: used, of: waiting, from: leg.index, arena, &pool)
        pool.giveBack(replaced, to: arena)
    }
}
