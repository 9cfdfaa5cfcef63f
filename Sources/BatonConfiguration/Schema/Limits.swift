/// What one server, one source and one connection may take.
package struct Limits: Hashable, Sendable {
    /// The most connections in all.
    package var connections = 100_000
    /// The most connections from one IPv4 address or one IPv6 /64; nil: no limit.
    package var connectionsPerSource: Int?
    /// The most new connections in a second, in all; nil: no limit.
    package var connectionRate: Int?
    /// The most new connections in a second from one IPv4 address or one IPv6 /64; nil: no limit.
    package var connectionRatePerSource: Int?
    /// The most handshakes that begin in a second; nil: no limit.
    package var handshakeRate: Int?
    /// The most connections that have not come to a worker yet: those in their handshake, with all that comes before it.
    package var handshakes = 10_000
    /// From the accepted connection to the end of its handshake, with all that comes before it.
    package var handshakeTime: Duration = .seconds(10)
    /// From the first byte of a request to the end of its first line, where a route needs it.
    package var headerTime: Duration = .seconds(10)
    /// The most bytes of a request line that a route needs, of a request to the built-in page, or of a PROXY protocol
    /// header.
    package var headerSize = 16 << 10
    /// The most bytes that wait for a slow reader, in each direction of a connection.
    package var bufferSize = 256 << 10
    /// The most memory that a worker uses for the bytes that wait in its relays; nil: as much as suits the machine.
    package var relayMemory: Int?
    /// The most relays that a worker has in one memory.
    package var relaysPerWorker = 65_536
    /// A worker that has not answered for so long is killed, and another takes its place; nil: never.
    package var workerSilence: Duration? = .seconds(10)

    /// Creates the defaults.
    package init() {}
}
