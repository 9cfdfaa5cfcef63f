/// A way for connections: what they must have, and where they then go. A criterion that is left empty asks nothing.
package struct Route: Hashable, Sendable {
    /// The names of the listeners it serves; empty: all.
    package var listeners: [String] = []
    /// The names in the ClientHello's server_name extension (RFC 6066 section 3); empty: any name and none.
    package var serverNames: [ServerNamePattern] = []
    /// The protocol agreed on by ALPN (RFC 7301); empty: any and none.
    package var alpn: [String] = []
    /// The methods of the first HTTP/1 request; empty: any. Needs a request.
    package var methods: [String] = []
    /// The beginning of the path of the first HTTP/1 request: `/api` stands for `/api` and `/api/…`, not for `/apis`.
    package var path: String?
    /// What connections have in common that go to the same address of the target; nil: its balance says. A field of a query needs
    /// a request.
    package var affinity: Affinity?
    /// Which clients may come by it, of those that the listener lets in; empty: all.
    package var clientRules: [ClientRule] = []
    /// Where the connection goes.
    package var target: Target = .hello

    /// Creates a route that takes everything to the built-in page.
    package init() {}
}
