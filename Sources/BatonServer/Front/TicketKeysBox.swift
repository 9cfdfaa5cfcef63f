internal import BatonConfiguration
internal import Libc
internal import TLSHandshake
internal import TLSRecords

/// Shares ticket keys, which are noncopyable so that they are not copied by accident.
final class TicketKeysBox: Sendable {
    private let keys: TicketKeys
    /// When the current key was made, in seconds since 1970: upgrades and reloads do not make it any younger.
    let createdAt: Int64

    init(_ keys: consuming TicketKeys = .random(), createdAt: Int64 = Int64(time(nil))) {
        self.keys = keys
        self.createdAt = createdAt
    }

    /// Those of the file that is shared with other hosts; nil if the configuration names none.
    ///
    /// - Throws: why it cannot be used.
    convenience init?(fileOf configuration: Configuration) throws {
        guard let path = configuration.sessionTickets.keyFile else { return nil }
        self.init(try TicketKeys(sharedIn: path))
    }

    func copy() -> TicketKeys { keys.copy() }
    func rotated(keeping count: Int) -> TicketKeysBox { TicketKeysBox(keys.rotated(keeping: count)) }
    var serialised: [UInt8] { keys.serialised().withUnsafeBytes { Array($0) } }
}
