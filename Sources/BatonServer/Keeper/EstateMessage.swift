/// What a worker and the keeper say to each other of estates, in the machine's byte order: a kind, the estate's number, and what
/// is about sessions for each of them its slot and generation.
struct EstateMessage: Equatable {
    enum Kind: UInt8 {
        /// From a worker, with the arena that it has made. To a worker, with one that another has left.
        case arena = 2
        /// With two sockets of each session.
        case keep = 3
        /// From a worker: sessions are over.
        case release = 4
        /// To a worker: the estate is there as a whole. The only entry is how its last owner ended.
        case begin = 5
    }

    struct Entry: Equatable {
        var slot: UInt32
        var generation: UInt64
    }

    var kind: Kind
    var number: UInt32
    var entries: [Entry] = []

    /// Sessions in one message: as many as have room for their descriptors.
    static let mostSessions = 120
    private static let headLength = 5
    private static let entryLength = 12

    var encoded: [UInt8] {
        var bytes = [kind.rawValue]
        withUnsafeBytes(of: number) { bytes += $0 }
        for entry in entries {
            withUnsafeBytes(of: entry.slot) { bytes += $0 }
            withUnsafeBytes(of: entry.generation) { bytes += $0 }
        }
        return bytes
    }

    init(_ kind: Kind, _ number: UInt32, _ entries: [Entry] = []) {
        self.kind = kind
        self.number = number
        self.entries = entries
    }

    /// - Parameter descriptors: how many came with it.
    init?(_ bytes: [UInt8], descriptors: Int) {
        guard let first = bytes.first, let kind = Kind(rawValue: first), bytes.count >= Self.headLength,
            (bytes.count - Self.headLength).isMultiple(of: Self.entryLength)
        else { return nil }
        self.kind = kind
        (number, entries) = bytes.withUnsafeBytes { bytes in
            (
                bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self),
                stride(from: Self.headLength, to: bytes.count, by: Self.entryLength).map {
                    Entry(
                        slot: bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self),
                        generation: bytes.loadUnaligned(fromByteOffset: $0 + 4, as: UInt64.self))
                }
            )
        }
        let expected =
            switch kind {
            case .arena: 1
            case .keep: 2 * entries.count
            case .release, .begin: 0
            }
        guard descriptors == expected else { return nil }
    }
}
