internal import BatonConfiguration
internal import BatonCore
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
        let descriptor = try LinkSocket.connect(peer.address, service: service)
        do {
            return try link(
                Handshake(client: client, serverName: peer.name), descriptor, within: LinkProtocol.patience
            ) { _ in true }
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// The server's side, for an accepted socket, which stays the caller's if this throws. Who shows a certificate of the
    /// authority but no configured name is hung up on.
    func accept(_ descriptor: CInt, within time: Duration) throws -> (link: PeerLink, peer: String) {
        var found: String?
        LinkSocket.prepare(descriptor)
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
        var handshake = handshake
        let deadline = Deadline.after(time)
        while true {
            let progress: Handshake.Progress
            do throws(HandshakeError) {
                progress = try handshake.advance()
            } catch {
                // The alert says why.
                try? write(&handshake, descriptor, deadline)
                throw LinkError("the other host cannot be verified, or does not accept us: \(error)")
            }
            if progress == .established { break }
            try write(&handshake, descriptor, deadline)
            try read(&handshake, descriptor, deadline)
        }
        guard isPeer(handshake) else {
            throw LinkError("the certificate of the other host names no peer of this one; it is hung up on")
        }
        return PeerLink(descriptor, try handshake.connection(), bandwidth: bandwidth)
    }

    private func write(_ handshake: inout Handshake, _ descriptor: CInt, _ deadline: Deadline) throws {
        while handshake.outgoingCount > 0 {
            let count = handshake.withOutgoing { bytes in
                bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            }
            if count > 0 {
                handshake.didWrite(count)
            } else if errno == EAGAIN {
                try LinkSocket.wait(descriptor, POLLOUT, until: deadline)
            } else if errno != EINTR {
                throw LinkError.ended
            }
        }
    }

    private func read(_ handshake: inout Handshake, _ descriptor: CInt, _ deadline: Deadline) throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 {
                handshake.receive(buffer.span.bytes.extracting(first: count))
                return
            } else if count == 0 {
                throw LinkError.ended
            } else if errno == EAGAIN {
                try LinkSocket.wait(descriptor, POLLIN, until: deadline)
            } else if errno != EINTR {
                throw LinkError.ended
            }
        }
    }
}
