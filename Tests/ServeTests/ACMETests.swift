import Foundation
import StockPeers
import Testing

/// The recipe of docs/acme.md, with the clients themselves.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ACMETests {
    enum Client: String, CaseIterable { case certbot, lego }

    private let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    private func run(_ client: Client, renews: Bool, _ directory: String, _ port: Int) throws {
        let arguments: [String]
        switch client {
        case .certbot:
            let folders = ["etc", "work", "logs"].flatMap { folder in
                ["--\(folder == "etc" ? "config" : folder)-dir", files.path("certbot/\(folder)")]
            }
            arguments =
                renews
                ? ["certbot", "renew", "-n", "--force-renewal", "--no-random-sleep-on-renew"] + folders
                : [
                    "certbot", "certonly", "-n", "--agree-tos", "--register-unsafely-without-email", "--standalone",
                    "--server", directory, "--http-01-address", "127.0.0.1", "--http-01-port", "\(port)", "-d",
                    "x.test",
                ] + folders
        case .lego:
            arguments =
                [
                    "lego", "--accept-tos", "--server", directory, "--path", files.path("lego"), "--email",
                    "you@x.test",
                    "--domains", "x.test", "--http", "--http.port", "127.0.0.1:\(port)",
                ] + (renews ? ["renew", "--days", "90", "--no-random-sleep"] : ["run"])
        }
        let process = try PeerProcess(arguments)
        try process.expect(nil)
        guard process.status == 0 else { throw WireError("\(arguments): \(process.text)") }
    }

    private func serial(_ port: Int) throws -> String {
        let shown = try PeerProcess([
            "bash", "-c",
            "openssl s_client -connect 127.0.0.1:\(port) -servername x.test </dev/null 2>/dev/null "
                + "| openssl x509 -noout -serial",
        ])
        try shown.expect(nil)
        return shown.text
    }

    @Test(
        "what certbot and lego are issued through Baton's plain listener is served, and what they renew, without a hook",
        arguments: Client.allCases)
    func recipe(client: Client) throws {
        guard FileManager.default.fileExists(atPath: "/usr/bin/\(client.rawValue)") else {
            Issue.record("\(client.rawValue) is not installed; run scripts/bootstrap.sh test")
            return
        }
        let port = Int(try Wire.freePort())
        func configuration(_ certificates: String) throws -> String {
            try files.write(
                """
                listeners:
                  https: {address: "127.0.0.1:0"}
                  http: {address: "127.0.0.1:0", tls: false}
                routes:
                  site: {listeners: [https], target: hello}
                  acme: {listeners: [http], path: /.well-known/acme-challenge, target: acme}
                upstreams:
                  acme: {addresses: ["127.0.0.1:\(port)"]}
                \(certificates)
                """, "baton.yaml")
        }
        let server = try Server(["--config", try configuration("")], workers: 1)
        let (https, http) = (try server.port("https"), try server.port("http"))
        let (authority, directory) = try ACMEServer.start(validatingAt: http)
        try run(client, renews: false, directory, port)
        let (chain, key) =
            switch client {
            case .certbot:
                (files.path("certbot/etc/live/x.test/fullchain.pem"), files.path("certbot/etc/live/x.test/privkey.pem"))
            case .lego: (files.path("lego/certificates/x.test.crt"), files.path("lego/certificates/x.test.key"))
            }
        _ = try configuration("certificates: {x: {chain: \(chain), key: \(key)}}")
        try server.reload()
        let first = try serial(https)
        #expect(authority.isRunning && first.contains("serial="))
        try run(client, renews: true, directory, port)
        try server.log("changed files are in use")
        let deadline = ContinuousClock.now + .seconds(30)
        while try serial(https) == first {
            guard ContinuousClock.now < deadline else { throw WireError("the first is still served") }
        }
        try authority.expect("ISSUED", count: 2)
        #expect(!server.logged.contains("is not used"), "\(server.logged)")
    }
}
