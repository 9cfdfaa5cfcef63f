/// One end of a TCP connection: an address and a port.
package struct Endpoint: Hashable, Sendable {
    /// The IP address.
    package var address: IPAddress
    /// The TCP port.
    package var port: UInt16

    /// Creates an endpoint.
    package init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }
}

extension Endpoint: CustomStringConvertible {
    /// `192.0.2.1:443` or `[2001:db8::1]:443`.
    package var description: String {
        if case .v4 = address { "\(address):\(port)" } else { "[\(address)]:\(port)" }
    }
}
