/// Why a receiver does not take a parcel. The raw value is the code on the wire; 0 is never a reason.
public struct DeclineReason: RawRepresentable, Hashable, Sendable {
    /// The code on the wire, 1 to 255.
    public let rawValue: UInt8

    /// Nil for 0, which on the wire means 'accepted'.
    public init?(rawValue: UInt8) {
        guard rawValue != 0 else { return nil }
        self.rawValue = rawValue
    }

    private init(_ code: UInt8) { rawValue = code }

    /// The receiver has as many connections as it may hold.
    public static let noRoom = DeclineReason(1)
    /// The parcel could not be read.
    public static let malformed = DeclineReason(2)
    /// The snapshot is of a version or holds something this receiver does not know.
    public static let unsupportedSnapshot = DeclineReason(3)
    /// The parcel holds something critical this receiver does not know.
    public static let unsupportedParcel = DeclineReason(4)
    /// The seal did not open: another key, another receiver, changed on the way, or seen before.
    public static let sealRefused = DeclineReason(5)
    /// The offer came after it had expired.
    public static let expired = DeclineReason(6)
    /// The offer has more bytes, parcels or descriptors than the receiver takes.
    public static let tooLarge = DeclineReason(7)
    /// The receiver had no room in its descriptor table.
    public static let descriptorsLost = DeclineReason(8)
    /// The receiver is about to go itself.
    public static let leaving = DeclineReason(9)
    /// The receiver cannot serve connections at the moment.
    public static let unresponsive = DeclineReason(10)

    /// A reason of the application's own; `code` is taken modulo 128.
    public static func application(_ code: UInt8) -> DeclineReason { DeclineReason(128 | code) }
}

extension DeclineReason: CustomStringConvertible {
    /// A few words for logs.
    public var description: String {
        switch self {
        case .noRoom: "no room"
        case .malformed: "malformed parcel"
        case .unsupportedSnapshot: "unsupported snapshot"
        case .unsupportedParcel: "unsupported parcel"
        case .sealRefused: "seal refused"
        case .expired: "expired"
        case .tooLarge: "too large"
        case .descriptorsLost: "no room for descriptors"
        case .leaving: "receiver is leaving"
        case .unresponsive: "unresponsive"
        default: rawValue >= 128 ? "application reason \(rawValue & 127)" : "reason \(rawValue)"
        }
    }
}
