internal import CSessionArena
internal import Libc
internal import TLSRecords

/// From a leg's requests to answers for it. As everywhere one store publishes what has been used of the input, what has been made
/// of it, and how far the request has come that has no end yet.
extension Turn {
    /// Answers what has come, as much as there is room for, and ends behind the answers when the peer has ended.
    ///
    /// - Parameter left: how many more answers this turn may give; what has been asked beyond waits.
    func answerRequests(
        _ leg: inout Leg, left: inout Int, arena: borrowing Arena, pool: inout ExtentPool, _ respond: PageResponder
    ) {
        let place = record.leg(leg.index)
        guard !leg.isReset, place.pointee.flags & (Turn.deaf | ARENA_LEG_BROKEN) == 0 else { return }
        do throws(TLSError) {
            guard try answerInput(&leg, &left, arena, &pool, respond) else { return }
        } catch {
            return giveUp(&leg, error)
        }
        endBehindInput(&leg, arena, &pool)
        // Who has asked nothing is not kept waiting when no answer but the last will come.
        if limits.isEnding, leg.received == place.pointee.consumed, record.scanner.isAtStart,
            finish(&leg, arena, &pool)
        {
            leg.cause = leg.cause ?? .closed
        }
    }

    /// - Returns: whether all has been answered that can be.
    private func answerInput(
        _ leg: inout Leg, _ left: inout Int, _ arena: borrowing Arena, _ pool: inout ExtentPool,
        _ respond: PageResponder
    ) throws(TLSError) -> Bool {
        let place = record.leg(leg.index)
        while place.pointee.flags & (ARENA_LEG_READ_CLOSED | Turn.deaf | ARENA_LEG_BROKEN) == 0 {
            guard let input = input(of: leg, arena) else { break }
            guard !isFull(leg), left > 0 else { return false }
            let outcome =
                leg.isPlain
                ? try answerPlain(input, &leg, &left, arena, &pool, respond)
                : try answerRecord(input, &leg, &left, arena, &pool, respond)
            switch outcome {
            case .moved: continue
            case .needsRoom: return false
            case .needsInput: return true
            }
        }
        return true
    }

    /// The most answers of one record that an extent has room for.
    private static func maxAnswers(inRecordsOf most: Int) -> Int {
        let sealed = PageQuestion.longestAnswer + (PageQuestion.longestAnswer / most + 1) * Turn.overhead
        let room = Int(ARENA_EXTENT_SIZE) - Connection.controlRoom - spare - (spare / most + 1) * Turn.overhead
        return max(1, min(PageQuestion.maxAnswers, room / sealed))
    }

    /// For the record that the last answer may share with the end, and what is added to both.
    private static let spare = 4 * overhead

    private func answerPlain(
        _ input: UnsafeRawBufferPointer, _ leg: inout Leg, _ left: inout Int, _ arena: borrowing Arena,
        _ pool: inout ExtentPool, _ respond: PageResponder
    ) throws(TLSError) -> Outcome {
        Step.take(input)
        guard let output = outputRoom(leg, for: PageQuestion.longestAnswer + Turn.spare, arena, &pool) else {
            return .needsRoom
        }
        var scanner = record.scanner
        left -= 1
        // What follows an answer stays where it is, so that one at a time is enough.
        let answers = PageAnswers(
            to: input, &scanner, most: 1, usesAll: false, limits: limits, note: note(arena),
            handovers: record.slot.pointee.handovers, respond)
        return try publish(
            answers, scanner, using: answers.isLast ? input.count : answers.used, of: input.count, at: output, &leg,
            arena, &pool)
    }

    private func answerRecord(
        _ input: UnsafeRawBufferPointer, _ leg: inout Leg, _ left: inout Int, _ arena: borrowing Arena,
        _ pool: inout ExtentPool, _ respond: PageResponder
    ) throws(TLSError) -> Outcome {
        guard let length = leg.connection.firstRecord(input) else { return .needsInput }
        let most = PageAnswers.most(in: length, outOf: Turn.maxAnswers(inRecordsOf: leg.longestContent))
        guard mayOpen(leg, leg, &pool),
            let output = outputRoom(leg, for: most * PageQuestion.longestAnswer + Turn.spare, arena, &pool)
        else { return .needsRoom }
        let content: UnsafeRawBufferPointer
        switch openFirst(length, of: input, &leg, arena, &pool) {
        case .content(let bytes): content = bytes
        case .none(let outcome): return outcome
        }
        var scanner = record.scanner
        let answers = PageAnswers(
            to: content, &scanner, most: most, usesAll: true, limits: limits, note: note(arena),
            handovers: record.slot.pointee.handovers, respond)
        left -= answers.count
        return try publish(
            answers, scanner, using: answers.isLast ? input.count : length, of: input.count, at: output, &leg, arena,
            &pool)
    }

    private func publish(
        _ answers: PageAnswers, _ scanner: RequestScanner, using count: Int, of waiting: Int,
        at output: UnsafeMutableRawPointer, _ leg: inout Leg, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) throws(TLSError) -> Outcome {
        guard !answers.hasFailed else {
            leg.cause = .closed
            resetBehindOutput([leg.index])
            return .needsInput
        }
        let produced = try answers.bytes.span.bytes.withUnsafeBytes { (bytes) throws(TLSError) in
            try leg.putAll(bytes, at: output)
        }
        let place = record.leg(leg.index)
        place.pointee.produced += UInt64(produced)
        record.scanner = answers.isLast ? RequestScanner() : scanner
        if answers.isLast {
            leg.cause = .inOrder
            end(&leg, arena, &pool)
            // Its end is waited for, so that no reset destroys the answer (RFC 9112 section 9.6).
            leg.waitsForPeer = true
        }
        note(leg)
        if answers.isLast { place.pointee.flags |= ARENA_LEG_FAILED | ARENA_LEG_READ_CLOSED }
        publish(using: count, of: waiting, from: leg.index, arena, &pool)
        return .moved
    }

    private func note(_ arena: borrowing Arena) -> [UInt8] { SessionFacts.note(record.slot, record.state, arena) }
}
