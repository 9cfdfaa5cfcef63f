import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// What a session ticket opens, and for how long.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TicketTests {
    private let authority: OpenSSLAuthority

    init() throws { authority = try OpenSSLAuthority() }

    private func connect(_ port: Int, _ name: String?, _ arguments: [String]) throws -> OpenSSLClient {
        let client = try OpenSSLClient(port, name: name, says: "comes-back-7", arguments)
        #expect(client.isAnswered, "\(client.text)")
        return client
    }

    private func configuration(_ issued: OpenSSLAuthority.Issued) throws -> String {
        try authority.write(
            """
            listeners:
              one: {address: "127.0.0.1:0"}
              two: {address: "127.0.0.1:0"}
              strong: {address: "127.0.0.1:0", ciphers: [TLS_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]}
            routes: {echo: {target: echo}}
            certificates: {c: {chain: \(issued.certificate), key: \(issued.key)}}
            """, "baton.yaml")
    }

    @Test(
        "a ticket resumes under the same name at the same listener, before and after an upgrade, and nowhere else",
        arguments: ["-tls1_2", "-tls1_3"])
    func scope(version: String) throws {
        let issued = try authority.issue("x.test", names: "DNS:x.test,DNS:y.test")
        let server = try Server(["--config", try configuration(issued)], workers: 1)
        let ticket = authority.path("ticket")
        let (one, two) = (try server.port("one"), try server.port("two"))
        let suite = ["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"]
        let first = try connect(one, "x.test", [version, "-sess_out", ticket] + suite)
        #expect(!first.isResumed)
        func resumes(_ port: Int, _ name: String?) throws -> Bool {
            try connect(port, name, [version, "-sess_in", ticket] + suite).isResumed
        }
        #expect(try resumes(one, "x.test"))
        #expect(try resumes(one, "X.TEST."))
        #expect(try !resumes(one, "y.test"))
        #expect(try !resumes(one, nil))
        #expect(try !resumes(two, "x.test"))
        #expect(try !resumes(try server.port("strong"), "x.test"))

        let nameless = authority.path("nameless")
        _ = try connect(one, nil, [version, "-sess_out", nameless])
        #expect(try connect(one, nil, [version, "-sess_in", nameless]).isResumed)
        #expect(try !connect(one, "x.test", [version, "-sess_in", nameless]).isResumed)

        try server.upgrade()
        #expect(try resumes(one, "x.test"))
    }

    @Test("a ticket is of no use once the certificate has been replaced", arguments: ["-tls1_2", "-tls1_3"])
    func replaced(version: String) throws {
        let (old, new) = (try authority.issue("x.test"), try authority.issue("x.test"))
        let server = try Server(["--config", try configuration(old)], workers: 1)
        let (one, ticket) = (try server.port("one"), authority.path("ticket"))
        _ = try connect(one, "x.test", [version, "-sess_out", ticket])
        #expect(try connect(one, "x.test", [version, "-sess_in", ticket]).isResumed)
        for (from, to) in [(new.certificate, old.certificate), (new.key, old.key)] {
            try FileManager.default.removeItem(atPath: to)
            try FileManager.default.copyItem(atPath: from, toPath: to)
        }
        server.signal(SIGHUP)
        try server.log("the configuration has been read again")
        #expect(try !connect(one, "x.test", [version, "-sess_in", ticket]).isResumed)
    }

    @Test(
        "ticket keys grow old although the server is reloaded and upgraded all the time, and the former ones still open theirs"
    )
    func rotation() throws {
        // A ticket's life is longer than a key's: two former keys are kept.
        let server = try Server(
            ["--upstream", "echo", "--session-tickets.rotate-every", "3s", "--session-tickets.former-keys", "16"],
            workers: 1)
        let ticket = authority.path("ticket")
        var name = try connect(server.port, nil, ["-sess_out", ticket]).ticketKeyName
        #expect(name != nil)
        for disturb in [{ server.signal(SIGHUP) }, { _ = try server.upgrade() }] as [() throws -> Void] {
            let deadline = ContinuousClock.now + .seconds(60)
            var next = name
            while next == name {
                try disturb()
                next = try connect(server.port, nil, []).ticketKeyName
                guard ContinuousClock.now < deadline else {
                    throw WireError("the key is still the same after a minute")
                }
            }
            name = next
        }
        #expect(try connect(server.port, nil, ["-sess_in", ticket]).isResumed)
    }
}
