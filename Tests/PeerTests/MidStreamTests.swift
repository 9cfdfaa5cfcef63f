import Crypto
import StockPeers
import TLSHandshake
import TLSRecords
import Testing

/// Moves at the moments that other systems refuse or lose: with bytes on their way, half-closed, tickets unread.
@Suite("A move in mid-stream", .serialized)
struct MidStreamTests {
    let credentials = Credentials.shared
    let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    private func accept(
        _ kind: StockPeer.Kind, _ version: TLSVersion, _ arguments: [String] = [], writesLastFlight: Bool = true
    ) throws -> (peer: StockPeer, connect: Connecting) {
        let (listener, port) = try Wire.listen()
        let peer = try StockPeer.client(kind, port: port, version, in: files, arguments)
        return (peer, Connecting(wire: try listener.accept(), role: .server, writesLastFlight: writesLastFlight))
    }

    /// What is left to do for a session; tuples cannot hold one.
    struct Connecting {
        let wire: Wire
        let role: Role
        let writesLastFlight: Bool

        func session() throws -> Session {
            let credentials = Credentials.shared
            let handshake =
                role == .server
                ? Handshake(server: try credentials.server())
                : try Handshake(client: credentials.client(), serverName: "localhost")
            return try Session(wire, handshake, writesLastFlight: writesLastFlight)
        }
    }

    private func connect(
        _ kind: StockPeer.Kind, _ version: TLSVersion, _ arguments: [String] = []
    ) throws -> (peer: StockPeer, connect: Connecting) {
        let (peer, port) = try StockPeer.server(kind, version, certificate: "p256", in: files, arguments)
        return (peer, Connecting(wire: try Wire.connect(port), role: .client, writesLastFlight: true))
    }

    private func meet(
        _ role: Role, _ kind: StockPeer.Kind, _ version: TLSVersion
    ) throws -> (peer: StockPeer, connect: Connecting) {
        role == .server ? try accept(kind, version) : try connect(kind, version)
    }

    // MARK: Unsent ciphertext

    /// Printable, so that no peer takes it for a command, and never the same twice in a row.
    private func text(_ count: Int) -> [UInt8] {
        var state: UInt32 = 1
        return (0..<count).map { index in
            state = state &* 1_664_525 &+ 1_013_904_223
            return index % 64 == 63 ? UInt8(ascii: "\n") : UInt8(ascii: "a") + UInt8(state >> 24) % 26
        }
    }

    @Test(
        "what a peer that does not read has not been sent goes with the connection, to the byte",
        arguments: [Role.server, .client], [TLSVersion.tls12, .tls13])
    func unsent(_ role: Role, _ version: TLSVersion) throws {
        let (peer, connecting) = try meet(role, .python, version)
        var session = try connecting.session()
        session.wire.setSendBuffer(4_096)
        let data = text(8 << 20)
        try session.connection.send(data.span.bytes)
        // Python reads nothing until it is told to.
        while try session.writeSome(50_000) > 0 {}
        for most in [1, 3, 1_000, 17, 5_000] {
            let waiting = session.connection.outgoingCount
            #expect(waiting > 0)
            session = try session.moved()
            let carried = session.connection.outgoingCount
            #expect(carried == waiting)
            _ = try session.writeSome(most)
        }
        try peer.process.send("read \(data.count)\n")
        // One more, while the peer reads.
        session.wire.setSendBuffer(1 << 20)
        _ = try session.writeSome(40_001)
        session = try session.moved()
        try session.flush()
        let digest = SHA256.hash(data: data).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }
        try peer.process.expect("SHA-256 \(digest.joined())\n")
        try peer.converse("afterwards", with: &session)
    }

    @Test("programs that block on their output get every byte, too", arguments: [StockPeer.Kind.openssl, .gnutls])
    func unsentToBlockedProgram(_ kind: StockPeer.Kind) throws {
        let (peer, connecting) = try accept(kind, .tls13)
        var session = try connecting.session()
        session.wire.setSendBuffer(4_096)
        // gnutls-cli writes its output byte by byte.
        let data = text(kind == .gnutls ? 700_000 : 8 << 20)
        try session.send("begin:")
        try session.connection.send(data.span.bytes)
        // Nobody reads the program's output, so it stops reading the connection.
        for _ in 1...5 {
            _ = try session.writeSome(70_001)
            session = try session.moved()
        }
        session.wire.setSendBuffer(1 << 20)
        let output = try Reading(peer.process, session, marker: "begin:", count: data.count).run()
        #expect(output == data[...])
    }

    /// Writes what a session has and reads what the peer prints, as each becomes possible.
    struct Reading: ~Copyable {
        let process: PeerProcess
        var session: Session
        let marker: String
        let count: Int

        init(_ process: PeerProcess, _ session: consuming Session, marker: String, count: Int) {
            self.process = process
            self.session = session
            self.marker = marker
            self.count = count
        }

        consuming func run() throws -> ArraySlice<UInt8> {
            while session.connection.outgoingCount > 0 {
                if try session.writeSome(100_000) == 0 { try process.read(untilWritable: session.wire) }
            }
            return try process.output(behind: marker, count: count)
        }
    }

    // MARK: Tickets

    @Test("tickets nobody has written yet reach the client, which can resume")
    func unwrittenTickets() throws {
        let keys = TicketKeys.random()
        let stored = files.path("session.pem")
        for isSecond in [false, true] {
            let (listener, port) = try Wire.listen()
            let peer = try StockPeer.client(
                .openssl, port: port, .tls13, in: files, [isSecond ? "-sess_in" : "-sess_out", stored])
            let server = try credentials.server(ticketKeys: keys.copy())
            var session = try Session(listener.accept(), Handshake(server: server), writesLastFlight: false)
            let isResumed = session.connection.info.isResumed
            #expect(isResumed == isSecond)
            let waiting = session.connection.outgoingCount
            #expect(waiting > 0)
            for _ in 1...5 {
                session = try session.moved()
                _ = try session.writeSome(11)
            }
            try session.flush()
            try peer.converse("after the tickets", with: &session)
            try session.close()
            try peer.process.endInput()
            try peer.process.expect(nil)
        }
    }

    @Test("tickets nobody has read yet reach the next owner", arguments: [StockPeer.Kind.openssl, .gnutls, .python])
    func unreadTickets(_ kind: StockPeer.Kind) throws {
        let (peer, connecting) = try connect(kind, .tls13)
        var session = try connecting.session().moved()
        try session.await("a ticket") { if case .sessionTicket = $0 { true } else { false } }
        session = try session.moved()
        try peer.converse("after the tickets", with: &session)
    }

    // MARK: Half-closed

    @Test("after our close_notify the peer may go on", arguments: [Role.server, .client], [TLSVersion.tls12, .tls13])
    func writeClosed(_ role: Role, _ version: TLSVersion) throws {
        let (peer, connecting) = try meet(role, .python, version)
        var session = try connecting.session()
        try peer.converse("while open", with: &session)
        session.connection.close()
        session = try session.moved()
        try session.flush()
        try peer.process.send("end\n")
        try peer.process.expect("END\n")
        for line in ["first", "second"] {
            session = try session.moved()
            try peer.say("\(line) after your end")
            try session.expect("\(line) after your end\n")
        }
        #expect(throws: TLSError(.writeClosed)) { try session.send("no") }
    }

    @Test("after the peer's close_notify we may go on", arguments: [Role.server, .client], [TLSVersion.tls12, .tls13])
    func readClosed(_ role: Role, _ version: TLSVersion) throws {
        let (peer, connecting) = try meet(role, .python, version)
        var session = try connecting.session()
        try peer.converse("while open", with: &session)
        try peer.process.send("shut\n")
        // Not before: OpenSSL takes data for an error while it sends its close_notify.
        try peer.process.expect("SHUT\n")
        try session.await("close_notify") { $0 == .closeNotify }
        for line in ["first", "second"] {
            session = try session.moved()
            let isReadClosed = session.connection.isReadClosed
            #expect(isReadClosed)
            try session.send("\(line) after your end\n")
            try peer.hear("\(line) after your end")
        }
        try session.close()
        try peer.process.send("end\n")
        try peer.process.expect("END\n")
    }
}
