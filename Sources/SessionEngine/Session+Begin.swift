internal import BatonCore
internal import CSessionArena
internal import Glibc
package import TLSRecords

/// One side of a session that begins: its socket, and its TLS if it has any.
package struct LegStart: ~Copyable {
    let descriptor: CInt
    var snapshot: Snapshot?

    /// - Parameters:
    ///   - descriptor: a connected TCP socket that does not block; the session's once it has begun, the caller's if it
    ///     cannot.
    ///   - snapshot: the connection of which this socket is the transport; `nil`: the leg is plain.
    package init(descriptor: CInt, snapshot: consuming Snapshot?) {
        self.descriptor = descriptor
        self.snapshot = snapshot
    }
}

/// Why a session cannot begin.
package enum BeginError: Error, Equatable {
    /// All slots or extents are in use, or what is known of the peers is longer than a slot has room for.
    case noRoom
    /// A connection has failed, or has plaintext that nobody has read.
    case notBetweenRecords
    /// The kernel tells no position of a socket; the code is from errno(3).
    case noPosition(CInt)
}

extension Session {
    /// Writes a session into a slot that is unsettled until the caller says that it lives. Extents are taken from `pool`
    /// and named in the slot's state, also where there is an error.
    init(
        beginning index: Int, number: UInt64, client: consuming LegStart, upstream: consuming LegStart,
        in arena: borrowing Arena, pool: inout ExtentPool
    ) throws(BeginError) {
        let slot = arena.slot(index)
        slot.pointee.generation &+= 1
        slot.pointee.session = number
        slot.pointee.kind = UInt32(ARENA_RELAY)
        let state = arena_state_at(slot, 0)
        for leg in LegIndex.both {
            let place = arena_leg_at(state, leg.rawValue)
            place.pointee.input_extent = ARENA_NO_EXTENT
            place.pointee.output_extent = ARENA_NO_EXTENT
            place.pointee.fragment_extent = ARENA_NO_EXTENT
        }
        guard client.snapshot.isBetweenRecords, upstream.snapshot.isBetweenRecords else { throw .notBetweenRecords }
        let clientFacts = client.snapshot.lastingFacts()
        let upstreamFacts = upstream.snapshot.lastingFacts()
        guard SessionFacts.write(slot, client: clientFacts, upstream: upstreamFacts) else { throw .noRoom }
        let clientSocket = client.descriptor
        let upstreamSocket = upstream.descriptor
        let clientStanding = try LegStanding(beginning: .client, client, slot, arena, &pool)
        let upstreamStanding = try LegStanding(beginning: .upstream, upstream, slot, arena, &pool)
        self.init(
            slot: index, client: Leg(.client, descriptor: clientSocket, clientStanding),
            upstream: Leg(.upstream, descriptor: upstreamSocket, upstreamStanding))
    }
}

extension LegStanding {
    fileprivate init(
        beginning index: LegIndex, _ start: consuming LegStart, _ slot: UnsafeMutablePointer<arena_slot>,
        _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) throws(BeginError) {
        var position = stream_position()
        let failed = stream_position_of(start.descriptor, &position)
        guard failed == 0 else { throw .noPosition(-failed) }
        let leg = arena_leg_at(arena_state_at(slot, 0), index.rawValue)
        var received: UInt64 = 0
        var connection: Connection?
        if var snapshot = start.snapshot.take() {
            leg.pointee.flags = ARENA_LEG_TLS
            received = UInt64(snapshot.withInbound { $0.count })
            leg.pointee.produced = UInt64(snapshot.outgoingCount)
            guard
                snapshot.withInbound({ LegStanding.place($0, at: &leg.pointee.input_extent, arena, &pool) }),
                snapshot.withOutgoing({ LegStanding.place($0, at: &leg.pointee.output_extent, arena, &pool) })
            else { throw .noRoom }
            snapshot.forgetBytes()
            let resumed = SessionKeys.resume(snapshot)
            leg.pointee.fragment_count = UInt32(resumed.withFragments { $0.count })
            guard resumed.withFragments({ LegStanding.place($0, at: &leg.pointee.fragment_extent, arena, &pool) })
            else {
                throw .noRoom
            }
            SessionKeys.store(resumed, in: leg)
            connection = consume resumed
        }
        // What the connection has had already counts as read in the slot.
        switch index {
        case .client:
            (slot.pointee.read_base.0, slot.pointee.write_base.0) = (position.read &- received, position.written)
        case .upstream:
            (slot.pointee.read_base.1, slot.pointee.write_base.1) = (position.read &- received, position.written)
        }
        self.init(connection: connection, received: received, written: 0)
    }

    /// Gives bytes on their way a place. Returns `false` if there is none.
    private static func place(
        _ bytes: UnsafeRawBufferPointer, at extent: inout UInt32, _ arena: borrowing Arena, _ pool: inout ExtentPool
    ) -> Bool {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return true }
        guard bytes.count <= Int(ARENA_EXTENT_SIZE), let taken = pool.take(keeping: pool.reserve) else { return false }
        arena.extent(taken).copyMemory(from: base, byteCount: bytes.count)
        extent = taken
        return true
    }
}

extension Optional where Wrapped == Snapshot {
    fileprivate borrowing func lastingFacts() -> SecretBytes? {
        switch self {
        case .none: nil
        case .some(let snapshot): snapshot.lastingFacts()
        }
    }

    fileprivate var isBetweenRecords: Bool {
        switch self {
        case .none: true
        case .some(let snapshot): snapshot.isBetweenRecords
        }
    }
}
