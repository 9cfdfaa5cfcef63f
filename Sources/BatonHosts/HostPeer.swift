/// Another host, as this one finds it.
public struct HostPeer: Sendable, Hashable {
    /// An address or a name of the host itself, no service address.
    public var host: String
    /// The port of its `HostArrivals`.
    public var port: UInt16
    /// The name that its certificate must be for.
    public var name: String

    /// A host at an address and a port, with the name that its certificate must be for.
    public init(host: String, port: UInt16, name: String) {
        self.host = host
        self.port = port
        self.name = name
    }
}
