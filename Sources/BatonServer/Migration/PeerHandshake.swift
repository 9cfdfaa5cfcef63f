internal import BatonConfiguration
internal import BatonCore
internal import BatonHosts
internal import HostMigration
internal import Libc
internal import TLSHandshake
internal import TLSRecords

/// Makes links: TLS 1.3 with certificates of both sides, each checked against the configured authority and for a
/// configured name.
struct PeerHandshake: Sendable {
    private let server: ServerContext
    private let client: ClientContext
    private let peers: [String: Peer]
    private let service: [IPAddress]
    private let bandwidth: Int?

    /// Reads the certificates.
    init(_ configuration: Configuration) throws {
        let migration = configuration.migration
        guard let certificate = migration.certificate, let key = migration.key, let ca = migration.ca else {
            throw RuntimeError(.configuration, "migration.certificate, migration.key and migration.ca must be set")
        }
        let identity = ServerConfiguration.Identity(
            certificateChain: .file(certificate), privateKey: .file(key))
        let options = ProtocolOptions(
            minimumVersion: .tls13, applicationProtocols: [LinkProtocol.applicationProtocol])
        // Without tickets each link shows its certificates anew.
        server = try ServerContext(
            ServerConfiguration(
                identities: [identity], options: options, clientCertificates: .required(authorities: .file(ca)),
                ticketCount: 0))
        client = try ClientContext(
            ClientConfiguration(verification: .roots(.file(ca)), options: options, identity: identity))
        peers = configuration.peers
        service = migration.addresses.map(\.unmapped)
        bandwidth = migration.bandwidth
    }

    /// Connects to a peer, which must show the name it is configured with.
    func connect(to name: String) throws -> PeerLink {
        guard let peer = peers[name] else { throw LinkError("there is no peers.\(name) in the configuration") }
        let descriptor = try connect(to: peer)
        do {
            return try link(
                Handshake(client: client, serverName: peer.name), descriptor, within: LinkProtocol.patience
            ) { _ in true }
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// From no service address, because the peer carries those, too.
    private func connect(to peer: Peer) throws -> CInt {
        guard case .tcp(let host, let port) = peer.address else {
            throw LinkError("\(peer.address) is no address of a host")
        }
        do throws(MigrationError) {
            return try HostSocket.connect(
                host.connectName, port, from: { [service] in InterfaceAddress.own(towards: $0, except: service) },
                within: Deadline.after(LinkProtocol.patience))
        } catch {
            throw LinkError("the peer at \(peer.address) cannot be reached (\(error.detail))")
        }
    }

    /// The server's side, for an accepted socket, which stays the caller's if this throws. Who shows a certificate of the
    /// authority but no configured name is hung up on.
    func accept(_ descriptor: CInt, within time: Duration) throws -> (link: PeerLink, peer: String) {
        var found: String?
        let link = try link(Handshake(server: server), descriptor, within: time) { handshake in
            found = peers.sorted { $0.key < $1.key }.first { handshake.peerCertificate(isFor: $0.value.name) }?.key
            return found != nil
        }
        return (link, found ?? "")
    }

    private func link(
        _ handshake: consuming Handshake, _ descriptor: CInt, within time: Duration,
        isPeer: (borrowing Handshake) -> Bool
    ) throws -> PeerLink {
        let established: Handshake
        do throws(MigrationError) {
            established = try HostHandshake.establish(handshake, HostSocket(descriptor), Deadline.after(time))
        } catch {
            switch error.code {
            case .unverified:
                throw LinkError("the other host cannot be verified, or does not accept us: \(error.detail)")
            case .timedOut: throw LinkError.silent
            default: throw LinkError.ended
            }
        }
        guard isPeer(established) else {
            throw LinkError("the certificate of the other host names no peer of this one; it is hung up on")
        }
        return PeerLink(descriptor, try established.connection(), bandwidth: bandwidth)
    }
}
