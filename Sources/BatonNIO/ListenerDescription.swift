/// A listening socket that a program wants: by which name its owners know it, where it listens, and how its connections begin.
public struct ListenerDescription: Sendable {
    /// Where to listen.
    public enum Address: Sendable, Hashable {
        /// An address or a name, and a TCP port; 0 lets the kernel choose.
        case host(String, port: Int)
        /// The path of a Unix socket, at most 107 bytes.
        case unixPath(String)
    }

    /// By which a successor knows it; at most 255 bytes.
    public let name: String
    /// Where it listens, if it has to be made.
    public let address: Address
    /// How its connections begin.
    public let security: ServerSecurity

    /// A TCP listener.
    public init(_ name: String, host: String, port: Int, _ security: ServerSecurity) {
        self.name = name
        self.address = .host(host, port: port)
        self.security = security
    }

    /// A listener at a Unix socket.
    public init(_ name: String, unixPath: String, _ security: ServerSecurity = .plain) {
        self.name = name
        self.address = .unixPath(unixPath)
        self.security = security
    }
}
