/// What a worker and the keeper say to each other of estates, in the machine's byte order: a kind, the estate's number, and what
/// is about sessions for each of them its slot and generation.
struct EstateMessage: Equatable {
    enum Kind: UInt8 {
        /// From a worker, with the arena that it has made. To a worker, with one that is to be its own.
        case arena = 2
        /// With two sockets of each session.
        case keep = 3
        /// Sessions are over.
        case release = 4
        /// To a worker: the estate is its own. The only entry is how its last owner ended (`Estate.End`) and when, in nanoseconds
        /// of the monotonic clock, or 0.
        case begin = 5
        /// To a worker that is to have an estate: asks for `prepared`.
        case prepare = 6
        /// From a worker: it can begin with the estate at once. The only entry's slot is 0 if it cannot.
        case prepared = 7
        /// To a worker that is to have an estate: it does not get it.
        case withdraw = 8
        /// To a worker: another is prepared to go on with its estate.
        case yield = 9
        /// From a worker: it has relinquished the estate. The only entry's generation is when.
        case yielded = 10
        /// From a worker: these sessions of its estate have not reached it, and nobody goes on with them.
        case lost = 11
    }

    struct Entry: Equatable {
        var slot: UInt32
        var generation: UInt64
    }

    var kind: Kind
    var number: UInt32
    var entries: [Entry] = []

    /// Sessions in one message: as many as have room for their descriptors.
    static let maxSessions = 120
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
        self.init(bytes)
        let expected =
            switch kind {
            case .arena: 1
            case .keep: 2 * entries.count
            case .release, .begin, .prepare, .prepared, .withdraw, .yield, .yielded, .lost: 0
            }
        guard descriptors == expected else { return nil }
    }

    /// One whose descriptors there was no room for.
    init?(lacking bytes: [UInt8]) {
        self.init(bytes)
        guard kind == .arena || kind == .keep else { return nil }
    }

    private init?(_ bytes: [UInt8]) {
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
    }
}
