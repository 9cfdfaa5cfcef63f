/// A receiver's answer to one offered parcel.
public enum Verdict: Sendable, Hashable {
    /// The receiver holds it and will run the connection once the owner commits.
    case accept
    /// The receiver has dropped it; the owner goes on with the connection.
    case decline(DeclineReason)

    /// On the wire: 0, or the reason.
    var code: UInt8 {
        switch self {
        case .accept: 0
        case .decline(let reason): reason.rawValue
        }
    }

    init(code: UInt8) {
        self = DeclineReason(rawValue: code).map(Verdict.decline) ?? .accept
    }
}
