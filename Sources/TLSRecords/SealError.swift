/// Why sealed bytes cannot be opened.
public enum SealError: Error, Hashable, Sendable {
    /// They do not begin as sealed bytes do.
    case notSealed
    /// Sealed in a version this build does not open.
    case unsupportedVersion(UInt8)
    /// They end too soon.
    case cutOff
    /// Sealed for another receiver.
    case otherReceiver
    /// Their time is over.
    case expired
    /// Opened before: a transfer is accepted once.
    case alreadyOpened
    /// Sealed under another key, or changed on the way.
    case notAuthentic
}

extension SealError: CustomStringConvertible {
    /// One line.
    public var description: String {
        switch self {
        case .notSealed: "these bytes are not sealed by Baton"
        case .unsupportedVersion(let version): "sealed in version \(version); this build opens \(SealHeader.version)"
        case .cutOff: "the sealed bytes end too soon"
        case .otherReceiver: "sealed for another receiver"
        case .expired: "the seal has expired; offer the connection again"
        case .alreadyOpened: "this transfer was opened before; each is accepted once"
        case .notAuthentic: "sealed under another key, or changed on the way"
        }
    }
}
