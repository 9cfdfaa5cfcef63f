import BatonCore

/// What two hosts say to each other about one batch. Each is one message of a `MigrationTransport`: its kind, then its
/// body, big-endian.
enum MigrationMessage: Equatable {
    /// Answer to an offer: the members that are not accepted, and why.
    case answer(declined: [Int: MigrationError])
    /// These members are the receiver's, the other ones not.
    case commit(Set<Int>)
    /// Nothing of the offer is the receiver's.
    case cancel
    /// The receiver owns all committed members but those, which it had to reset.
    case confirm(lost: Set<Int>)

    /// The kinds on the wire. An offer is followed by version, count, and each frozen socket with its length.
    enum Kind: UInt8 {
        case offer = 1
        case answer = 2
        case commit = 3
        case cancel = 4
        case confirm = 5
    }

    /// Version of the protocol; the offer carries it, and a host that speaks another declines.
    static let version: UInt8 = 1

    /// The most connections of a batch.
    static let batchLimit = 4096

    var encoded: [UInt8] {
        switch self {
        case .answer(let declined):
            var bytes = [Kind.answer.rawValue]
            for (member, error) in declined.sorted(by: { $0.key < $1.key }) {
                bytes.append(bigEndian: UInt16(clamping: member))
                bytes.append(error.code.rawValue)
            }
            return bytes
        case .commit(let members): return MigrationMessage.list(.commit, members)
        case .cancel: return [Kind.cancel.rawValue]
        case .confirm(let lost): return MigrationMessage.list(.confirm, lost)
        }
    }

    /// Reads any message but an offer; nil if it is damaged.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var reader = WireReader(bytes)
        guard let kind = reader.uint8().flatMap(Kind.init(rawValue:)) else { return nil }
        switch kind {
        case .offer:
            return nil
        case .answer:
            var declined: [Int: MigrationError] = [:]
            while !reader.isAtEnd {
                guard let member = reader.uint16(), let number = reader.uint8(),
                    declined.updateValue(
                        MigrationError(MigrationError.Code(rawValue: number) ?? .declined), forKey: Int(member)) == nil
                else { return nil }
            }
            self = .answer(declined: declined)
        case .commit:
            guard let members = MigrationMessage.members(&reader) else { return nil }
            self = .commit(members)
        case .cancel:
            guard reader.isAtEnd else { return nil }
            self = .cancel
        case .confirm:
            guard let members = MigrationMessage.members(&reader) else { return nil }
            self = .confirm(lost: members)
        }
    }

    private static func list(_ kind: Kind, _ members: Set<Int>) -> [UInt8] {
        var bytes = [kind.rawValue]
        for member in members.sorted() { bytes.append(bigEndian: UInt16(clamping: member)) }
        return bytes
    }

    private static func members(_ reader: inout WireReader) -> Set<Int>? {
        var members: Set<Int> = []
        while !reader.isAtEnd {
            guard let member = reader.uint16(), members.insert(Int(member)).inserted else { return nil }
        }
        return members
    }
}
