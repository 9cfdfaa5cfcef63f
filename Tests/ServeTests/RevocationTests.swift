import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// Client certificates, and what is known of them that has changed since they were issued.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct RevocationTests {
    private let authority: OpenSSLAuthority
    private let other: OpenSSLAuthority

    init() throws {
        authority = try OpenSSLAuthority("first")
        other = try OpenSSLAuthority("second")
    }

    private func server(_ lists: [String]) throws -> Server {
        let issued = try authority.issue("localhost")
        let both = try authority.write(
            try [authority, other].map { try String(contentsOfFile: $0.certificate, encoding: .utf8) }.joined(),
            "both.pem")
        return try Server(
            [
                "--config",
                try authority.write(
                    """
                    listeners:
                      main:
                        address: 127.0.0.1:0
                        client-auth: require
                        client-ca: \(both)
                        client-crl: [\(lists.joined(separator: ", "))]
                    routes: {echo: {target: echo}}
                    certificates: {c: {chain: \(issued.certificate), key: \(issued.key)}}
                    """, "baton.yaml"),
            ], workers: 1)
    }

    private func client(
        _ server: Server, _ issued: OpenSSLAuthority.Issued, _ arguments: [String]
    ) throws -> OpenSSLClient {
        try OpenSSLClient(
            server.port, name: "localhost", says: "comes-back-7",
            ["-cert", issued.certificate, "-key", issued.key] + arguments)
    }

    /// Tries again until the client fares so: files are read again within seconds.
    private func eventually(_ isRight: (OpenSSLClient) -> Bool, _ client: () throws -> OpenSSLClient) throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let client = try client()
            if isRight(client) { return }
            guard ContinuousClock.now < deadline else { throw WireError("after 30 s still: \(client.text)") }
        }
    }

    @Test(
        "a certificate that is revoked opens nothing from then on, neither by itself nor by an earlier ticket",
        arguments: ["-tls1_2", "-tls1_3"])
    func revoked(version: String) throws {
        try authority.writeRevocationList(to: "first.crl")
        try other.writeRevocationList(to: "second.crl", isDER: true)
        let server = try server([authority.path("first.crl"), other.path("second.crl")])
        let clients = [try authority.issue("good"), try authority.issue("bad"), try other.issue("other")]
        let tickets = clients.indices.map { authority.path("ticket\($0)") }
        for (issued, ticket) in zip(clients, tickets) {
            let first = try client(server, issued, [version, "-sess_out", ticket])
            #expect(first.isAnswered && !first.isResumed, "\(first.text)")
            let second = try client(server, issued, [version, "-sess_in", ticket])
            #expect(second.isAnswered && second.isResumed, "\(second.text)")
        }
        try authority.revoke(clients[1])
        try authority.writeRevocationList(to: "first.crl")
        try eventually({ !$0.isAnswered && $0.text.contains("alert number 44") }) {
            try client(server, clients[1], [version])
        }
        let again = try client(server, clients[1], [version, "-sess_in", tickets[1]])
        #expect(!again.isAnswered && !again.isResumed, "\(again.text)")
        for index in [0, 2] {
            let client = try client(server, clients[index], [version, "-sess_in", tickets[index]])
            #expect(client.isAnswered && client.isResumed, "\(client.text)")
        }
    }

    @Test("a list that has expired lets nobody of its issuer in, which the log says, until it is fetched again")
    func expired() throws {
        try authority.writeRevocationList(to: "first.crl")
        try other.writeRevocationList(to: "second.crl")
        let server = try server([authority.path("first.crl"), other.path("second.crl")])
        let (mine, theirs) = (try authority.issue("mine"), try other.issue("theirs"))
        let ticket = authority.path("ticket")
        #expect(try client(server, mine, ["-sess_out", ticket]).isAnswered)
        try authority.writeRevocationList(to: "first.crl", seconds: 1)
        try eventually({ !$0.isAnswered }) { try client(server, mine, []) }
        let again = try client(server, mine, ["-sess_in", ticket])
        #expect(!again.isAnswered && !again.isResumed, "\(again.text)")
        try server.log("first.crl has expired")
        #expect(try client(server, theirs, []).isAnswered)
        // What is no list at all does not replace one.
        _ = try other.write("no list", "second.crl")
        try server.log("the revocation lists are kept as they were")
        #expect(try client(server, theirs, []).isAnswered)
        try authority.writeRevocationList(to: "first.crl")
        try other.writeRevocationList(to: "second.crl")
        try eventually({ $0.isAnswered }) { try client(server, mine, []) }
    }

    @Test("an authority without a list lets nobody in, and the server says so at its start")
    func unlisted() throws {
        try authority.writeRevocationList(to: "first.crl")
        let server = try server([authority.path("first.crl")])
        try server.log("there is no revocation list of the authority CN=second")
        #expect(try client(server, authority.issue("mine"), []).isAnswered)
        #expect(try !client(server, other.issue("theirs"), []).isAnswered)
    }

    @Test("a forged certificate is refused for its signature, and is not looked up in the lists")
    func forged() throws {
        let revoked = try authority.issue("revoked")
        try authority.revoke(revoked)
        try authority.writeRevocationList(to: "first.crl")
        try other.writeRevocationList(to: "second.crl")
        let server = try server([authority.path("first.crl"), other.path("second.crl")])
        #expect(try client(server, revoked, []).text.contains("alert number 44"))
        // Of the same issuer's name and with the same number, which is the first of each authority.
        let forger = try OpenSSLAuthority("first")
        defer { withExtendedLifetime(forger) {} }
        let forged = try client(server, forger.issue("revoked"), [])
        #expect(!forged.isAnswered, "\(forged.text)")
        #expect(forged.text.contains("alert number") && !forged.text.contains("alert number 44"), "\(forged.text)")
    }

    @Test("a client without a certificate is refused, and so is one of a stranger")
    func strangers() throws {
        try authority.writeRevocationList(to: "first.crl")
        try other.writeRevocationList(to: "second.crl")
        let server = try server([authority.path("first.crl"), other.path("second.crl")])
        let none = try OpenSSLClient(server.port, says: "comes-back-7")
        #expect(!none.isAnswered)
        let stranger = try OpenSSLAuthority("stranger")
        defer { withExtendedLifetime(stranger) {} }
        let refused = try client(server, stranger.issue("x"), [])
        #expect(!refused.isAnswered && refused.text.contains("alert number 48"), "\(refused.text)")
    }
}
