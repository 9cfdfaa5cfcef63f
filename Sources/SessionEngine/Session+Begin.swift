internal import BatonCore
internal import CSessionArena
internal import Libc
internal import TLSRecords

/// Why a session cannot begin. Its legs are the caller's again.
package enum BeginError: Error, Sendable, Equatable {
    /// All slots or extents are in use.
    case noRoom
    /// More bytes wait in one direction of a leg, or more is to be known of the session, than an extent holds.
    case tooMuch
    /// The engine has a session of that number.
    case numberInUse
    /// A side's TLS has failed, or a side's socket is reset.
    case failed(SessionSide)
    /// A side has had its end passed on before the bytes that its peer sent.
    case contradiction(SessionSide)
    /// The kernel tells no position of a socket; the code is from errno(3).
    case noPosition(CInt)
    /// The engine has stopped.
    case stopped
}

/// What a session that is to begin takes of an arena: all that could be in its way is found here.
struct SessionNeeds {
    private(set) var extents = 0

    init(_ session: borrowing SessionAtRest) throws(BeginError) {
        switch session.kind {
        case .relay:
            try SessionNeeds.check(
                .client, isInputClosed: session.client.isAtInputEnd, isPassedOn: session.upstream.isEnding)
            try SessionNeeds.check(
                .upstream, isInputClosed: session.upstream.isAtInputEnd, isPassedOn: session.client.isEnding)
            try add(
                .client, session.client, unread: session.upstream.unreadCount, ends: session.upstream.isAtInputEnd)
            try add(
                .upstream, session.upstream, unread: session.client.unreadCount, ends: session.client.isAtInputEnd)
        case .echo:
            try SessionNeeds.check(
                .client, isInputClosed: session.client.isAtInputEnd, isPassedOn: session.client.isEnding)
            try add(
                .client, session.client, unread: session.client.unreadCount, ends: session.client.isAtInputEnd)
        case .page:
            // Its own end may have come first, with its last answer.
            let unread = session.unansweredCount
            guard unread <= Int(ARENA_EXTENT_SIZE), unread == 0 || session.maxFirstAnswers > 0 else { throw .tooMuch }
            try add(
                .client, session.client, unread: 0,
                ends: unread > 0 || session.client.isAtInputEnd || session.client.isEnding)
        }
        guard session.note.count <= SessionAtRest.longestNote else { throw .tooMuch }
        let lasting = SessionFacts.count(
            client: session.client.lastingFacts(), upstream: session.upstream.lastingFacts(), note: session.note)
        guard lasting <= Int(ARENA_EXTENT_SIZE) else { throw .tooMuch }
        if lasting > Int(ARENA_FACTS_MAX) { extents += 1 }
    }

    private static func check(_ side: SessionSide, isInputClosed: Bool, isPassedOn: Bool) throws(BeginError) {
        guard isInputClosed || !isPassedOn else { throw .contradiction(side) }
    }

    /// - Parameters:
    ///   - unread: plaintext of the other side that goes into this one's output.
    ///   - ends: whether the other side's end does.
    private mutating func add(
        _ side: SessionSide, _ leg: borrowing SessionLeg, unread: Int, ends: Bool
    ) throws(BeginError) {
        guard !leg.hasFailed else { throw .failed(side) }
        // A peer may take no more than 64 bytes in a record (RFC 8449 section 4), to each of which as much is added at most.
        let sealed = unread > 0 ? 2 * unread + 64 : 0
        guard leg.inboundCount <= Int(ARENA_EXTENT_SIZE), leg.fragmentCount <= Int(ARENA_EXTENT_SIZE),
            leg.outgoingCount + sealed <= Int(ARENA_EXTENT_SIZE) - Connection.controlRoom
        else { throw .tooMuch }
        if leg.inboundCount > 0 { extents += 1 }
        if leg.fragmentCount > 0 { extents += 1 }
        if leg.outgoingCount > 0 || unread > 0 || ends { extents += 1 }
    }
}

extension Session {
    /// Writes a session into a slot that is unsettled until the caller says that it lives. Extents are taken from `pool`,
    /// which has enough, and named in the slot's state, also where there is an error; `session` is whole then.
    init(
        beginning index: Int, _ session: inout SessionAtRest, in arena: borrowing Arena, pool: inout ExtentPool,
        _ limits: SessionLimits, _ respond: PageResponder
    ) throws(BeginError) {
        let slot = arena.slot(index)
        slot.pointee.generation &+= 1
        slot.pointee.session = session.number
        slot.pointee.kind = session.kind.rawValue
        slot.pointee.idle_limit = session.idleLimit
        slot.pointee.move_every = session.moveEvery
        let state = arena_state_at(slot, 0)
        state.pointee.lasting_extent = ARENA_NO_EXTENT
        for leg in LegIndex.both {
            let place = arena_leg_at(state, leg.rawValue)
            place.pointee.input_extent = ARENA_NO_EXTENT
            place.pointee.output_extent = ARENA_NO_EXTENT
            place.pointee.fragment_extent = ARENA_NO_EXTENT
        }
        let clientStream = try StreamStart(session.client)
        switch session.kind {
        case .relay: break
        case .echo:
            self.init(beginningEcho: index, slot, &session, clientStream, in: arena, pool: &pool)
            return
        case .page:
            self.init(beginningPage: index, slot, &session, clientStream, in: arena, pool: &pool, limits, respond)
            return
        }
        let upstreamStream = try StreamStart(session.upstream)
        SessionFacts.write(
            slot, client: session.client.lastingFacts(), upstream: session.upstream.lastingFacts(), note: session.note,
            arena, &pool)
        (slot.pointee.read_base.0, slot.pointee.write_base.0) = (clientStream.readBase, clientStream.writeBase)
        (slot.pointee.read_base.1, slot.pointee.write_base.1) = (upstreamStream.readBase, upstreamStream.writeBase)

        let fromClient = session.client.takeUnread()
        let fromUpstream = session.upstream.takeUnread()
        if clientStream.isUnix { UnixStream.mark(slot, .client) }
        if upstreamStream.isUnix { UnixStream.mark(slot, .upstream) }
        let (clientSocket, upstreamSocket) = (session.client.descriptor, session.upstream.descriptor)
        let hasEnded = (session.client.isAtInputEnd, session.upstream.isAtInputEnd)
        var client = Leg(
            .client, descriptor: clientSocket, LegStanding(&session.client, clientStream, slot, .client, arena, &pool))
        var upstream = Leg(
            .upstream, descriptor: upstreamSocket,
            LegStanding(&session.upstream, upstreamStream, slot, .upstream, arena, &pool))
        if fromClient.count > 0 { client.messages = 1 }
        do throws(TLSError) {
            try client.say(fromUpstream, end: hasEnded.1, slot, arena, &pool)
            try upstream.say(fromClient, end: hasEnded.0, slot, arena, &pool)
        } catch {
            // As where the same is found later: neither side may look whole.
            for leg in LegIndex.both { arena_leg_at(state, leg.rawValue).pointee.flags |= ARENA_LEG_RESETTING }
        }
        self.init(
            slot: index, number: session.number, kind: .relay, client: client, upstream: upstream,
            moveEvery: session.moveEvery)
        findUnixLegs(slot)
    }

    private init(
        beginningEcho index: Int, _ slot: UnsafeMutablePointer<arena_slot>, _ session: inout SessionAtRest,
        _ stream: StreamStart, in arena: borrowing Arena, pool: inout ExtentPool
    ) {
        SessionFacts.write(
            slot, client: session.client.lastingFacts(), upstream: nil, note: session.note, arena, &pool)
        (slot.pointee.read_base.0, slot.pointee.write_base.0) = (stream.readBase, stream.writeBase)
        let unread = session.client.takeUnread()
        if stream.isUnix { UnixStream.mark(slot, .client) }
        let socket = session.client.descriptor
        let hasEnded = session.client.isAtInputEnd
        var client = Leg(.client, descriptor: socket, LegStanding(&session.client, stream, slot, .client, arena, &pool))
        if unread.count > 0 { client.messages = 1 }
        do throws(TLSError) {
            try client.say(unread, end: hasEnded, slot, arena, &pool)
        } catch {
            arena_leg_at(arena_state_at(slot, 0), LegIndex.client.rawValue).pointee.flags |= ARENA_LEG_RESETTING
        }
        self.init(
            slot: index, number: session.number, kind: .echo, client: client, upstream: Leg(absent: .upstream),
            moveEvery: session.moveEvery)
        findUnixLegs(slot)
    }

    private init(
        beginningPage index: Int, _ slot: UnsafeMutablePointer<arena_slot>, _ session: inout SessionAtRest,
        _ stream: StreamStart, in arena: borrowing Arena, pool: inout ExtentPool, _ limits: SessionLimits,
        _ respond: PageResponder
    ) {
        SessionFacts.write(
            slot, client: session.client.lastingFacts(), upstream: nil, note: session.note, arena, &pool)
        (slot.pointee.read_base.0, slot.pointee.write_base.0) = (stream.readBase, stream.writeBase)
        if stream.isUnix { UnixStream.mark(slot, .client) }
        let state = arena_state_at(slot, 0)
        let (socket, hasEnded) = (session.client.descriptor, session.client.isAtInputEnd)
        var scanner = session.scanner
        let most = session.maxFirstAnswers
        let unanswered = session.takeUnanswered()
        var isLast = session.client.isEnding && !hasEnded
        var client = Leg(.client, descriptor: socket, LegStanding(&session.client, stream, slot, .client, arena, &pool))
        if !unanswered.isEmpty { client.messages = 1 }
        let answers = unanswered.withUnsafeBytes {
            PageAnswers(
                to: $0, &scanner, most: most, usesAll: true, limits: limits, note: session.note, handovers: 0, respond)
        }
        isLast = isLast || answers.isLast
        do throws(TLSError) {
            var said = ByteQueue()
            answers.bytes.withUnsafeBytes { said.append($0) }
            try client.say(said, end: hasEnded || isLast, slot, arena, &pool)
            if answers.hasFailed { state.pointee.legs.0.flags |= ARENA_LEG_RESETTING }
        } catch {
            state.pointee.legs.0.flags |= ARENA_LEG_RESETTING
        }
        if isLast, !hasEnded, state.pointee.legs.0.flags & ARENA_LEG_RESETTING == 0 {
            state.pointee.legs.0.flags |= ARENA_LEG_FAILED | ARENA_LEG_READ_CLOSED
            client.waitsForPeer = true
            client.cause = .inOrder
        } else if !isLast {
            scanner.store(in: state)
        }
        self.init(
            slot: index, number: session.number, kind: .page, client: client, upstream: Leg(absent: .upstream),
            moveEvery: session.moveEvery)
        findUnixLegs(slot)
    }
}

extension SessionAtRest {
    /// Plaintext of a page that has not been answered, and will be.
    fileprivate var unansweredCount: Int { client.isEnding ? 0 : early.count + client.unreadCount }

    fileprivate mutating func takeUnanswered() -> [UInt8] {
        let unread = client.takeUnread()
        guard !client.isEnding else { return [] }
        return early + unread.withBytes { Array($0) }
    }

    /// How many of the answers to that there is room for behind what waits, in records however short.
    fileprivate var maxFirstAnswers: Int {
        let room = Int(ARENA_EXTENT_SIZE) - Connection.controlRoom - client.outgoingCount - 64
        return min(PageQuestion.maxAnswers, max(0, room / (2 * PageQuestion.longestAnswer + 128)))
    }
}

/// Where a socket's stream stands when its session begins.
private struct StreamStart {
    let readBase: UInt64
    let writeBase: UInt64
    let isShut: Bool
    let isUnix: Bool

    init(_ leg: borrowing SessionLeg) throws(BeginError) {
        isUnix = UnixStream.canCarry(leg.descriptor)
        guard !isUnix else {
            // The slot counts by itself.
            (readBase, writeBase, isShut) = (0, 0, leg.isShut)
            return
        }
        var position = stream_position()
        let failed = stream_position_of(leg.descriptor, &position)
        guard failed == 0 else { throw .noPosition(-failed) }
        var (read, written) = (position.read, position.written)
        if position.is_closed != 0, leg.isEnding, leg.outgoingCount == 0, position.has_error == 0 {
            // Closed in order, it has had a FIN each way, which the counters count.
            read &-= 1
            written &-= 1
            isShut = true
        } else {
            // One that has been reset is found so by read(2), behind what came before.
            isShut = position.is_shut != 0
        }
        // What the leg has had already counts as read in the slot.
        readBase = read &- UInt64(leg.inboundCount)
        writeBase = written
    }
}

extension LegStanding {
    fileprivate init(
        _ start: inout SessionLeg, _ stream: StreamStart, _ slot: UnsafeMutablePointer<arena_slot>,
        _ index: LegIndex, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) {
        let leg = arena_leg_at(arena_state_at(slot, 0), index.rawValue)
        let received = UInt64(start.inboundCount)
        // The end of a plain leg that waits behind its bytes is read again from the socket.
        leg.pointee.produced = UInt64(start.outgoingCount)
        if leg.pointee.produced > 0 { leg.pointee.output_extent = pool.take()! }
        if received > 0 { leg.pointee.input_extent = pool.take()! }
        let (inputExtent, outputExtent) = (leg.pointee.input_extent, leg.pointee.output_extent)
        var connection: Connection?
        if var snapshot = start.snapshot.take() {
            leg.pointee.flags = ARENA_LEG_TLS
            snapshot.withInbound { copy($0, to: inputExtent, arena) }
            snapshot.withOutgoing { copy($0, to: outputExtent, arena) }
            snapshot.forgetBytes()
            let resumed = SessionKeys.resume(snapshot)
            resumed.withFragments { fragments in
                guard !fragments.isEmpty else { return }
                leg.pointee.fragment_extent = pool.take()!
                leg.pointee.fragment_count = UInt32(fragments.count)
                copy(fragments, to: leg.pointee.fragment_extent, arena)
            }
            SessionKeys.store(resumed, in: leg)
            connection = consume resumed
        } else {
            start.received.withUnsafeBytes { copy($0, to: inputExtent, arena) }
            start.unsent.withUnsafeBytes { copy($0, to: outputExtent, arena) }
            if start.isAtInputEnd { leg.pointee.flags = ARENA_LEG_READ_CLOSED }
        }
        self.init(connection: connection, received: received, written: 0, isShut: stream.isShut)
    }
}

private func copy(_ bytes: UnsafeRawBufferPointer, to extent: UInt32, _ arena: borrowing Arena) {
    guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
    arena.extent(extent).copyMemory(from: base, byteCount: bytes.count)
}

extension Leg {
    /// Puts what is to be said to the leg's peer, and the end behind it, into the output of a session that begins.
    fileprivate mutating func say(
        _ content: borrowing ByteQueue, end: Bool, _ slot: UnsafeMutablePointer<arena_slot>,
        _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) throws(TLSError) {
        guard content.count > 0 || end else { return }
        let place = arena_leg_at(arena_state_at(slot, 0), index.rawValue)
        if place.pointee.output_extent == ARENA_NO_EXTENT { place.pointee.output_extent = pool.take()! }
        let output = arena.extent(place.pointee.output_extent)
        var failure: TLSError?
        do throws(TLSError) {
            if content.count > 0 {
                let position = Int(place.pointee.produced)
                let produced = try content.withBytes { (bytes) throws(TLSError) in
                    try putAll(bytes, at: output + position)
                }
                place.pointee.produced += UInt64(produced)
            }
        } catch {
            failure = error
        }
        if end {
            if !isPlain {
                connection.close()
                place.pointee.produced += UInt64(connection.takeAnswers(to: output + Int(place.pointee.produced)))
            }
            place.pointee.flags |= ARENA_LEG_ENDING
        }
        if !isPlain { SessionKeys.store(connection, in: place) }
        if let failure { throw failure }
    }
}

extension SessionLeg {
    /// Whether the peer has ended, and all that it sent has been passed on, but for plaintext that a snapshot has.
    fileprivate var isAtInputEnd: Bool {
        switch snapshot {
        case .none: isInputClosed && received.isEmpty
        case .some(let snapshot): snapshot.isReadClosed
        }
    }

    /// Whether our end in order has been queued.
    package var isEnding: Bool {
        switch snapshot {
        case .none: isOutputClosed
        case .some(let snapshot): snapshot.isWriteClosed
        }
    }

    fileprivate var hasFailed: Bool {
        switch snapshot {
        case .none: false
        case .some(let snapshot): snapshot.hasFailed
        }
    }

    fileprivate var inboundCount: Int {
        switch snapshot {
        case .none: received.count
        case .some(let snapshot): snapshot.inboundCount
        }
    }

    fileprivate var outgoingCount: Int {
        switch snapshot {
        case .none: unsent.count
        case .some(let snapshot): snapshot.outgoingCount
        }
    }

    fileprivate var fragmentCount: Int {
        switch snapshot {
        case .none: 0
        case .some(let snapshot): snapshot.fragmentCount
        }
    }

    fileprivate var unreadCount: Int {
        switch snapshot {
        case .none: 0
        case .some(let snapshot): snapshot.unreadCount
        }
    }

    fileprivate borrowing func lastingFacts() -> SecretBytes? {
        switch snapshot {
        case .none: nil
        case .some(let snapshot): snapshot.lastingFacts()
        }
    }

    /// Takes the plaintext that nobody has read.
    fileprivate mutating func takeUnread() -> ByteQueue {
        guard unreadCount > 0 else { return ByteQueue() }
        var unread = ByteQueue()
        snapshot!.takeUnread { unread.append($0) }
        return unread
    }
}
