import Foundation
import StockPeers
import Testing

/// Ticket keys in a file that several hosts share.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct SharedTicketKeyTests {
    private let authority: OpenSSLAuthority
    private let issued: OpenSSLAuthority.Issued

    init() throws {
        authority = try OpenSSLAuthority()
        issued = try authority.issue("x.test")
    }

    /// As a fleet's tool makes it.
    private func key() throws -> String {
        let made = try PeerProcess(["bash", "-c", "openssl rand -base64 80 | tr -d '\\n'"])
        try made.expect(nil)
        return made.text
    }

    private func write(_ keys: [String], _ name: String, mode: mode_t = 0o600) throws -> String {
        let draft = try authority.write(keys.joined(separator: "\n") + "\n", name + ".draft")
        chmod(draft, mode)
        guard rename(draft, authority.path(name)) == 0 else { throw WireError("cannot write \(name)") }
        return authority.path(name)
    }

    private func configuration(_ keys: String, _ name: String) throws -> String {
        try authority.write(
            """
            listeners: {main: {address: "127.0.0.1:0"}}
            routes: {echo: {target: echo}}
            certificates: {c: {chain: \(issued.certificate), key: \(issued.key)}}
            session-tickets: {key-file: \(keys)}
            """, name)
    }

    private func connect(_ server: Server, _ arguments: [String]) throws -> OpenSSLClient {
        let client = try OpenSSLClient(server.port, name: "x.test", says: "comes-back-7", arguments)
        #expect(client.isAnswered, "\(client.text)")
        return client
    }

    @Test("hosts resume each other's sessions, through a rotation that reaches one before the other")
    func fleet() throws {
        var keys = [try key(), try key(), try key()]
        let (one, two) = (try write(keys, "one.keys"), try write(keys, "two.keys"))
        let first = try Server(["--config", try configuration(one, "one.yaml")], workers: 1)
        let second = try Server(["--config", try configuration(two, "two.yaml")], workers: 1)
        func ticket(_ version: String, _ server: Server) throws -> String {
            let path = authority.path("ticket\(version)")
            _ = try connect(server, [version, "-sess_out", path])
            return path
        }
        for version in ["-tls1_2", "-tls1_3"] {
            #expect(try connect(second, [version, "-sess_in", try ticket(version, first)]).isResumed)
            #expect(try connect(first, [version, "-sess_in", try ticket(version, second)]).isResumed)
        }
        let name = try connect(first, ["-tls1_2"]).ticketKeyName
        let old = try ["-tls1_2", "-tls1_3"].map { try ticket($0, first) }

        // The first has the new key already, and seals with the one that both have had.
        keys.append(try key())
        _ = try write(keys, "one.keys")
        try first.log("changed files are in use")
        for (version, path) in zip(["-tls1_2", "-tls1_3"], old) {
            #expect(try connect(first, [version, "-sess_in", path]).isResumed)
            #expect(try connect(second, [version, "-sess_in", try ticket(version, first)]).isResumed)
        }
        #expect(try connect(first, ["-tls1_2"]).ticketKeyName != name)
        _ = try write(keys, "two.keys")
        try second.log("changed files are in use")
        for version in ["-tls1_2", "-tls1_3"] {
            #expect(try connect(first, [version, "-sess_in", try ticket(version, second)]).isResumed)
        }
        // The first key has gone.
        keys.removeFirst(3)
        _ = try write(keys + [try key()], "one.keys")
        try first.log("changed files are in use", count: 2)
        #expect(try !connect(first, ["-tls1_2", "-sess_in", old[0]]).isResumed)

        // What is no key leaves those that there are.
        let last = try ticket("-tls1_3", first)
        _ = try write(["no key"], "one.keys")
        try first.log("is no ticket key")
        #expect(try connect(first, ["-tls1_3", "-sess_in", last]).isResumed)
        #expect(!first.logged.contains(keys[0]))
    }

    @Test("a file of ticket keys that is no good is refused in one line that says what to do")
    func wrong() throws {
        let good = try key()
        for (keys, mode, words) in [
            (["AAAA"], 0o600, "line 1 of the last 1 in"),
            ([good, String(good.dropLast(4))], 0o600, "line 2 of the last 2"),
            ([], 0o600, "holds no ticket key"), ([good, good], 0o600, "have the same name"),
            ([good], 0o644, "every user may read or write the ticket keys"),
        ] as [([String], mode_t, String)] {
            let path = try write(keys, "wrong.keys", mode: mode)
            let check = try PeerProcess(
                [try BuiltProgram.path("baton"), "check", "--config", try configuration(path, "wrong.yaml")])
            try check.expect(nil)
            #expect(check.status == 1)
            #expect(check.text.contains(words), "\(check.text)")
            #expect(check.text.split(whereSeparator: \.isNewline).count == 1, "\(check.text)")
            #expect(!check.text.contains(good.prefix(20)))
        }
    }
}
