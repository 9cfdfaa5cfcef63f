import StockPeers
import TLSHandshake
import TLSRecords
import Testing

/// Moves while keys change, on either side's wish.
@Suite("A move while keys change", .serialized)
struct KeyUpdateTests {
    let credentials = Credentials.shared
    let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    private func start(_ role: Role, _ kind: StockPeer.Kind, _ arguments: [String]) throws -> (StockPeer, Wire) {
        if role == .server {
            let (listener, port) = try Wire.listen()
            let peer = try StockPeer.client(kind, port: port, .tls13, in: files, arguments, takesCommands: true)
            return (peer, try listener.accept())
        }
        let (peer, port) = try StockPeer.server(kind, .tls13, certificate: "p256", in: files, arguments)
        return (peer, try Wire.connect(port))
    }

    private func session(_ role: Role, _ wire: Wire) throws -> Session {
        try Session(
            wire,
            role == .server
                ? Handshake(server: credentials.server())
                : Handshake(client: credentials.client(), serverName: "localhost"))
    }

    /// How a peer is told to change its keys, and whether it asks for ours to change.
    struct Command: Sendable, CustomTestStringConvertible {
        var role: Role
        var kind: StockPeer.Kind
        var line: String
        var requests: Bool
        var arguments: [String] = []
        var testDescription: String { "\(kind), \(line), we are the \(role)" }

        static let all = [
            Command(role: .server, kind: .openssl, line: "K", requests: true),
            Command(role: .server, kind: .openssl, line: "k", requests: false),
            Command(role: .client, kind: .openssl, line: "K", requests: true),
            Command(role: .client, kind: .openssl, line: "k", requests: false),
            Command(
                role: .server, kind: .gnutls, line: "^rekey^", requests: true, arguments: ["--inline-commands"]),
        ]
    }

    @Test("the peer's KeyUpdate is cut at every byte by a move", arguments: Command.all)
    func incoming(_ command: Command) throws {
        let witness = NonceWitness()
        try NonceWitness.$current.withValue(witness) {
            let (peer, wire) = try start(command.role, command.kind, command.arguments)
            var session = try session(command.role, wire)
            try peer.converse("under the first keys", with: &session)
            for round in 1...2 {
                let known = session.events.count
                try peer.process.send(command.line + "\n")
                var moves = 0
                while session.events.count == known {
                    session = try session.movedByByte()
                    moves += 1
                }
                // A header, the message, its type and the tag.
                #expect(moves >= 5 + 5 + 1 + 16)
                let event = session.events.last
                #expect(event == .keyUpdate(requested: command.requests))
                session = try session.moved()
                try peer.converse("under the next keys, \(round)", with: &session)
            }
        }
        #expect(witness.repeated == 0)
    }

    @Test("an answer that is owed is sent by the next owner", arguments: [Role.server, .client])
    func owed(_ role: Role) throws {
        let (peer, wire) = try start(role, .openssl, ["-msg"])
        var session = try session(role, wire)
        try peer.converse("under the first keys", with: &session)
        // Something unsent, so that the answer has to wait behind it.
        try session.connection.send(Array("unsent as yet\n".utf8).span.bytes)
        try peer.process.send("K\n")
        let update = try session.unansweredEvent()
        #expect(update == .keyUpdate(requested: true))
        let waiting = session.connection.outgoingCount
        for _ in 1...5 {
            session = try session.moved()
            let carried = session.connection.outgoingCount
            #expect(carried == waiting)
        }
        #expect(!peer.process.text.contains("18 00 00 01 00"))
        try session.flush()
        try peer.hear("unsent as yet")
        // The KeyUpdate as s_client and s_server show it with -msg: not asking for another.
        try peer.process.expect("18 00 00 01 00")
        try peer.converse("under the next keys", with: &session)
    }

    @Test(
        "our KeyUpdate is cut at every byte by a move",
        arguments: [(Role.server, StockPeer.Kind.openssl), (.server, .gnutls), (.server, .python), (.client, .openssl)]
            + [(.client, .gnutls), (.client, .python)], [false, true])
    func outgoing(_ end: (role: Role, kind: StockPeer.Kind), _ requests: Bool) throws {
        let witness = NonceWitness()
        try NonceWitness.$current.withValue(witness) {
            let (peer, wire) = try start(end.role, end.kind, [])
            var session = try session(end.role, wire)
            try peer.converse("under the first keys", with: &session)
            for round in 1...2 {
                try session.connection.updateKeys(requestingPeer: requests)
                let waiting = session.connection.outgoingCount
                #expect(waiting == 5 + 5 + 1 + 16)
                while try session.writeSome(1) == 1 { session = try session.moved() }
                // The peer's answer, if it was asked for, comes before its next data.
                let known = session.events.count
                try peer.converse("under the next keys, \(round)", with: &session)
                let answers = Array(session.events[known...].filter { if case .keyUpdate = $0 { true } else { false } })
                #expect(answers == (requests ? [.keyUpdate(requested: false)] : []))
                session = try session.moved()
            }
        }
        #expect(witness.repeated == 0)
    }
}
