import Glibc
import Handoff
import StockPeers
import TLSHandshake
import TLSRecords
import Testing

/// Chains whose owners are processes: the connection goes over handoff channels through five of them and back.
@Suite("Five processes own the connection in turn", .serialized)
struct ProcessChainTests {
    let credentials = Credentials.shared
    let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    private func only(_ version: TLSVersion) -> ProtocolOptions {
        ProtocolOptions(minimumVersion: version, maximumVersion: version)
    }

    @Test("a client keeps its server", arguments: StockPeer.Kind.allCases, [TLSVersion.tls12, .tls13])
    func server(_ kind: StockPeer.Kind, _ version: TLSVersion) throws {
        let (listener, port) = try Wire.listen()
        let peer = try StockPeer.client(kind, port: port, version, in: files)
        let session = try Session(listener.accept(), Handshake(server: credentials.server(only(version))))
        try sendRound(session, with: peer)
    }

    @Test("a server keeps its client", arguments: StockPeer.Kind.allCases, [TLSVersion.tls12, .tls13])
    func client(_ kind: StockPeer.Kind, _ version: TLSVersion) throws {
        let (peer, port) = try StockPeer.server(kind, version, certificate: "p256", in: files)
        let session = try Session(
            Wire.connect(port), Handshake(client: credentials.client(only(version)), serverName: "localhost"))
        try sendRound(session, with: peer)
    }

    private func sendRound(_ session: consuming Session, with peer: StockPeer) throws {
        var session = session
        try peer.converse("before any move", with: &session)

        let paths = (0...5).map { files.path("\($0).sock") }
        let home = try HandoffListener(at: paths[5])
        let owners = try (0..<5).map { index in
            try PeerProcess([try BuiltProgram.path("MovingOwner"), paths[index], paths[index + 1]])
        }
        for owner in owners { try owner.expect("ready\n") }

        let wire = session.wire
        let parcel = Parcel(
            snapshot: session.suspend(),
            sockets: DescriptorSet(owning: fcntl(wire.descriptor, F_DUPFD_CLOEXEC, 0)))
        var channel = OwnerChannel(try .connect(to: paths[0], deadline: .after(.seconds(60))))
        let outcome = channel.offer(ParcelBatch(parcel), deadline: .after(.seconds(60)))
        #expect(outcome.settlement.handedOverCount == 1)

        var answers = ""
        for owner in owners {
            // The process that sealed this line is the one whose turn it is.
            let line = "owner \(owner.processID)"
            answers += peer.isEcho ? "\(line)\n" : "answer to \(owner.processID)\n"
            guard !peer.isEcho else { continue }
            try peer.hear(line)
            try peer.say("answer to \(owner.processID)")
        }

        var returned = try receive(at: home)
        #expect(String(decoding: returned.applicationState, as: UTF8.self) == answers)
        #expect(returned.metadata.moves == 5)
        guard let snapshot = returned.snapshot.take() else { throw WireError("a parcel without the connection") }
        session = Session(Connection(resuming: snapshot), over: wire)
        try peer.converse("at home again", with: &session)
        try session.close()
        for owner in owners { try owner.expect(nil) }
    }

    private func receive(at home: borrowing HandoffListener) throws -> Parcel {
        guard let socket = try home.accept(deadline: .after(.seconds(60))) else { throw WireError("nobody came back") }
        var channel = ReceiverChannel(socket)
        guard var received = try channel.receive(deadline: .after(.seconds(60))),
            let parcel = received.parcels.removeLast()
        else { throw WireError("nothing came back") }
        return parcel
    }
}
