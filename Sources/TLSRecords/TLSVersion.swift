/// A protocol version whose established connections are values here. The raw value is the version on the wire.
public enum TLSVersion: UInt16, Sendable, Comparable {
    /// TLS 1.2, RFC 5246.
    case tls12 = 0x0303
    /// TLS 1.3, RFC 8446.
    case tls13 = 0x0304

    /// TLS 1.2 before TLS 1.3.
    public static func < (a: TLSVersion, b: TLSVersion) -> Bool { a.rawValue < b.rawValue }
}

extension TLSVersion: CustomStringConvertible {
    /// `1.2` or `1.3`, as the command line writes it.
    public var description: String { self == .tls12 ? "1.2" : "1.3" }
}
