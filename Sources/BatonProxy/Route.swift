/// A way for connections: what they must have, and where they then go. A criterion that is left empty asks nothing.
public struct Route: Hashable, Sendable {
    /// The names of the listeners it serves; empty: all.
    public var listeners: [String] = []
    /// The names in the ClientHello's server_name extension (RFC 6066 section 3); empty: any name and none.
    public var serverNames: [ServerNamePattern] = []
    /// The protocol agreed on by ALPN (RFC 7301); empty: any and none.
    public var alpn: [String] = []
    /// The methods of the first HTTP/1 request; empty: any. Needs a request.
    public var methods: [String] = []
    /// The beginning of the path of the first HTTP/1 request: `/api` stands for `/api` and `/api/…`, not for `/apis`.
    public var path: String?
    /// Where the connection goes.
    public var target: Target = .hello

    /// Creates a route that takes everything to the built-in page.
    public init() {}
}
