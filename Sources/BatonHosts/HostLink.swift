internal import BatonCore
public import HostMigration
internal import Libc
internal import Synchronization
internal import TLSHandshake
internal import TLSRecords

/// The link between two hosts: whole messages over TCP and TLS 1.3, for which both have shown a certificate.
///
/// Its calls block, and have time limits. Each message is preceded by its length, 32 bits big-endian. It may be used on any thread;
/// calls of several threads wait for each other.
public final class HostLink: MigrationTransport, Sendable {
    private let stream: Mutex<HostStream>

    /// The name of the other host, which its certificate is for.
    public let peerName: String

    /// The most bytes of a message unless set otherwise, 1 GiB.
    public static let longestMessage = 1 << 30

    /// Connects and makes the client's side of the handshake.
    ///
    /// - Parameters:
    ///   - host: an address or a name of the other host, not a service address.
    ///   - peer: the name that the other host's certificate must be for.
    ///   - source: the address to connect from; `nil` lets the kernel choose. It must not be a service address, which the other
    ///     host has, too.
    ///   - limit: the most bytes of a message, either way.
    ///   - patience: how long connecting and the handshake may take together, and later each wait for the other host to read.
    /// - Throws: `.linkEnded` if nobody can be reached, `.unverified`, `.timedOut`.
    public convenience init(
        connectingTo host: String, port: UInt16, as peer: String, _ credentials: HostCredentials,
        from source: ((IPAddress) -> IPAddress?)? = nil, limit: Int = longestMessage,
        patience: Duration = .seconds(5)
    ) throws(MigrationError) {
        let deadline = Deadline.after(patience)
        let owner = Descriptor(owning: try HostSocket.connect(host, port, from: source, within: deadline))
        let handshake: Handshake
        do throws(TLSConfigurationError) {
            handshake = try Handshake(client: credentials.client, serverName: peer)
        } catch {
            throw MigrationError(.unverified, "\(error)")
        }
        let established = try HostHandshake.establish(handshake, HostSocket(owner.number), deadline)
        try self.init(established, owner, peer, limit, patience)
    }

    /// Makes the server's side of the handshake on a connection that was accepted.
    ///
    /// - Parameters:
    ///   - descriptor: connected; the link's from now on, also if this throws.
    ///   - limit, patience: as for `init(connectingTo:)`.
    /// - Throws: `.unverified` if the other host's certificate is for none of the names that the credentials allow; `.linkEnded`,
    ///   `.timedOut`.
    public convenience init(
        accepting descriptor: Int32, _ credentials: HostCredentials, limit: Int = longestMessage,
        patience: Duration = .seconds(5)
    ) throws(MigrationError) {
        let owner = Descriptor(owning: descriptor)
        let established = try HostHandshake.establish(
            Handshake(server: credentials.server), HostSocket(descriptor), Deadline.after(patience))
        guard let peer = credentials.peers.first(where: { established.peerCertificate(isFor: $0) }) else {
            throw MigrationError(.unverified, "it names no peer of this host")
        }
        try self.init(established, owner, peer, limit, patience)
    }

    private init(
        _ handshake: consuming Handshake, _ owner: consuming Descriptor, _ peer: String, _ limit: Int,
        _ patience: Duration
    ) throws(MigrationError) {
        guard handshake.info?.applicationProtocol == HostCredentials.applicationProtocol else {
            throw MigrationError(
                .protocolViolation, "the other side does not speak \(HostCredentials.applicationProtocol)")
        }
        let connection: Connection
        do throws(HandshakeError) {
            connection = try handshake.connection()
        } catch {
            throw MigrationError(.unverified, "\(error)")
        }
        var stream = HostStream(owner, connection, limit: limit, patience: patience)
        // The last words of the handshake may be left to write, and the other side may wait for them.
        try stream.flush()
        self.stream = Mutex(stream)
        peerName = peer
    }

    /// Why the link is of no use any more; `nil` as long as it is.
    public var failure: MigrationError? { stream.withLock { $0.failure } }

    /// Sends one message; see `MigrationTransport`.
    public func send(_ message: RawSpan) throws(MigrationError) {
        let result = message.withUnsafeBytes { bytes in
            stream.withLock { stream in
                Result { () throws(MigrationError) in try stream.send(bytes) }
            }
        }
        try result.get()
    }

    /// Receives the next message; see `MigrationTransport`.
    public func receive(within time: Duration?) throws(MigrationError) -> SecretBytes {
        let deadline = time.map(Deadline.after) ?? .never
        return try stream.withLock { (stream) throws(MigrationError) in try stream.receive(until: deadline) }
    }

    /// Waits until something has come or the link has ended, or until `wake` is readable.
    ///
    /// - Returns: whether it was the first.
    func awaitMessage(unless wake: Int32) -> Bool { stream.withLock { $0.awaitBytes(unless: wake) } }
}
