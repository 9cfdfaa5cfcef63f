internal import BatonCore
internal import CSessionArena
internal import Libc
internal import TLSRecords

/// A connection's place in a leg of the arena: what changes from record to record.
enum SessionKeys {
    /// Writes where `connection` stands.
    static func store(_ connection: borrowing Connection, in leg: UnsafeMutablePointer<arena_leg>) {
        store(connection.readPosition, in: &leg.pointee.reading)
        store(connection.writePosition, in: &leg.pointee.writing)
        connection.withSecrets { reading, writing in
            memcpy(&leg.pointee.reading.secret, reading.baseAddress!, reading.count)
            memcpy(&leg.pointee.writing.secret, writing.baseAddress!, writing.count)
        }
        var flags = leg.pointee.flags & ~changing
        if connection.isReadClosed { flags |= ARENA_LEG_READ_CLOSED }
        if connection.isWriteClosed { flags |= ARENA_LEG_WRITE_CLOSED }
        if connection.owesKeyUpdate { flags |= ARENA_LEG_OWES_UPDATE }
        leg.pointee.flags = flags
        let allowance = connection.allowance
        withUnsafeMutableBytes(of: &leg.pointee.in_a_row) { $0.copyBytes(from: allowance.inARow) }
        leg.pointee.paid_key_updates = allowance.paidKeyUpdates
    }

    /// The connection that `facts` and a leg's place describe; `nil` if they contradict.
    static func load(
        _ leg: UnsafeMutablePointer<arena_leg>, facts: UnsafeRawBufferPointer, _ arena: borrowing Arena
    ) -> Connection? {
        let (extent, count) = (leg.pointee.fragment_extent, leg.pointee.fragment_count)
        guard count <= ARENA_EXTENT_SIZE, count == 0 || extent < UInt32(arena.extentCount) else { return nil }
        let fragments = UnsafeRawBufferPointer(start: count > 0 ? arena.extent(extent) : nil, count: Int(count))
        guard var snapshot = try? Snapshot(decoding: facts.bytes), snapshot.holdsNoBytes, !snapshot.hasFailed else {
            return nil
        }
        let length = DirectionState.secretLength(snapshot.info.suite)
        guard length <= Int(ARENA_SECRET_MAX) else { return nil }
        let flags = leg.pointee.flags
        let isPossible = snapshot.resume(
            reading: state(&leg.pointee.reading, length), writing: state(&leg.pointee.writing, length),
            isReadClosed: flags & ARENA_LEG_READ_CLOSED != 0, isWriteClosed: flags & ARENA_LEG_WRITE_CLOSED != 0,
            owesKeyUpdate: flags & ARENA_LEG_OWES_UPDATE != 0,
            allowance: Connection.Allowance(
                inARow: withUnsafeBytes(of: &leg.pointee.in_a_row) { Array($0) },
                paidKeyUpdates: leg.pointee.paid_key_updates),
            fragments: fragments)
        guard isPossible else { return nil }
        return resume(snapshot)
    }

    /// The connection of a leg: the arena has its bytes.
    static func resume(_ snapshot: consuming Snapshot) -> Connection {
        var connection = Connection(resuming: snapshot)
        connection.answersLater = true
        return connection
    }

    private static let changing = ARENA_LEG_READ_CLOSED | ARENA_LEG_WRITE_CLOSED | ARENA_LEG_OWES_UPDATE

    private static func store(_ position: Connection.Position, in key: inout arena_key) {
        key.sequence = position.sequence
        key.explicit_nonce = position.explicitNonce
        key.blocks = position.blocks
    }

    private static func state(_ key: UnsafeMutablePointer<arena_key>, _ length: Int) -> DirectionState {
        let secret = withUnsafeBytes(of: &key.pointee.secret) {
            SecretBytes(copying: UnsafeRawBufferPointer(rebasing: $0[..<length]).bytes)
        }
        return DirectionState(
            secret: secret, sequence: key.pointee.sequence, explicitNonce: key.pointee.explicit_nonce,
            blocks: key.pointee.blocks)
    }
}

extension Snapshot {
    /// Whether nothing is on its way: what is lies in extents, and there is room for no more.
    fileprivate var holdsNoBytes: Bool {
        unreadCount == 0 && inboundCount == 0 && outgoingCount == 0 && fragmentCount == 0
    }
}
