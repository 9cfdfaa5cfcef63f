internal import TLSHandshake
internal import TLSRecords

/// Shares ticket keys, which are noncopyable so that they are not copied by accident.
final class TicketKeysBox: Sendable {
    private let keys: TicketKeys

    init(_ keys: consuming TicketKeys = .random()) { self.keys = keys }

    func copy() -> TicketKeys { keys.copy() }
    func rotated(keeping count: Int) -> TicketKeysBox { TicketKeysBox(keys.rotated(keeping: count)) }
    var serialised: [UInt8] { keys.serialised().withUnsafeBytes { Array($0) } }
}
