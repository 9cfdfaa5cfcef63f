/// The first line of an HTTP/1 request (RFC 9112 section 3).
public struct RequestLine: Hashable, Sendable {
    /// The method, as sent: methods are case-sensitive.
    public var method: String
    /// The request target, as sent.
    public var target: String
    /// The minor version: 0 or 1.
    public var minorVersion: Int

    /// Creates a request line.
    public init(method: String, target: String, minorVersion: Int = 1) {
        self.method = method
        self.target = target
        self.minorVersion = minorVersion
    }

    /// The path of an origin-form or absolute-form target, without the query and neither decoded nor resolved; nil for
    /// `*` and for CONNECT's authority.
    public var path: Substring? {
        var rest = target[...]
        if rest.first != "/" {
            guard method != "CONNECT", let scheme = rest.utf8.firstIndex(of: UInt8(ascii: ":")),
                rest[scheme...].hasPrefix("://")
            else { return nil }
            rest = rest[scheme...].dropFirst(3)
            guard let slash = rest.utf8.firstIndex(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }),
                rest.utf8[slash] == UInt8(ascii: "/")
            else { return "/" }
            rest = rest[slash...]
        }
        return rest.prefix { $0 != "?" && $0 != "#" }
    }
}
