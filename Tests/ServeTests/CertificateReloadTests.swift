import Foundation
import StockPeers
import Testing

/// Certificates that are renewed behind a running server's back, which hears of it by itself.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct CertificateReloadTests {
    private let authority: OpenSSLAuthority

    init() throws { authority = try OpenSSLAuthority() }

    private func server(_ certificates: String, more: String = "", program: [String]? = nil) throws -> Server {
        try Server(
            [
                "--config",
                try authority.write(
                    """
                    listeners: {main: {address: "127.0.0.1:0"}}
                    routes: {echo: {target: echo}}
                    certificates: {\(certificates)}
                    \(more)
                    """, "baton.yaml"),
            ], workers: 1, program: program)
    }

    private func serial(_ issued: OpenSSLAuthority.Issued) throws -> String {
        let openssl = try PeerProcess(["openssl", "x509", "-noout", "-serial", "-in", issued.certificate])
        try openssl.expect(nil)
        return openssl.text
    }

    /// Waits until clients that ask for `name` are shown this certificate.
    private func eventually(_ issued: OpenSSLAuthority.Issued, _ server: Server, name: String = "x.test") throws {
        let wanted = try serial(issued)
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let shown = try PeerProcess([
                "bash", "-c",
                "openssl s_client -connect 127.0.0.1:\(server.port) -servername \(name) </dev/null 2>/dev/null "
                    + "| openssl x509 -noout -serial",
            ])
            try shown.expect(nil)
            if shown.text == wanted { return }
            guard ContinuousClock.now < deadline else { throw WireError("still \(shown.text), not \(wanted)") }
        }
    }

    private func put(_ from: String, _ to: String) throws {
        try FileManager.default.copyItem(atPath: from, toPath: to + ".draft")
        guard rename(to + ".draft", to) == 0 else { throw WireError("cannot put \(to)") }
    }

    @Test("what certbot renews is served without a hook, and connections stay")
    func certbot() throws {
        guard FileManager.default.fileExists(atPath: "/usr/lib/python3/dist-packages/certbot") else {
            Issue.record("certbot is not installed; run scripts/bootstrap.sh test")
            return
        }
        // Certbot's own code lays out and renews a lineage; what an ACME server would have issued is given to it.
        let script = try authority.write(
            """
            import sys
            from certbot import configuration
            from certbot._internal import cli, storage
            from certbot._internal.plugins import disco
            base, step = sys.argv[1:3]
            parts = [open(name, "rb").read() for name in sys.argv[3:6]]
            folders = ["--config-dir", base + "/etc", "--work-dir", base + "/work", "--logs-dir", base + "/logs"]
            config = cli.prepare_and_parse_args(disco.PluginsRegistry.find_all(), folders + ["certonly"])
            if not isinstance(config, configuration.NamespaceConfig): config = configuration.NamespaceConfig(config)
            if step == "new":
                storage.RenewableCert.new_lineage("site", *parts, config)
            else:
                lineage = storage.RenewableCert(base + "/etc/renewal/site.conf", config)
                lineage.save_successor(lineage.latest_common_version(), *parts, config)
                lineage.update_all_links_to(lineage.latest_common_version())
            print("DONE")
            """, "renew.py")
        func certbot(_ step: String, _ issued: OpenSSLAuthority.Issued) throws {
            let run = try PeerProcess(
                [
                    "/usr/bin/python3", script, authority.path("certbot"), step, issued.certificate, issued.key,
                    authority.certificate,
                ])
            try run.expect("DONE")
        }
        let first = try authority.issue("x.test")
        try certbot("new", first)
        let live = authority.path("certbot/etc/live/site")
        let server = try server("site: {chain: \(live)/fullchain.pem, key: \(live)/privkey.pem}")
        try eventually(first, server)
        let client = try PeerProcess(["openssl", "s_client", "-quiet", "-connect", "127.0.0.1:\(server.port)"])
        try client.send("before\n")
        try client.expect("before")
        for isUpgraded in [false, true] {
            if isUpgraded { _ = try server.upgrade() }
            let next = try authority.issue("x.test")
            try certbot("renew", next)
            try server.log("changed files are in use", count: isUpgraded ? 2 : 1)
            try eventually(next, server)
        }
        try client.send("behind\n")
        try client.expect("behind")
        #expect(!server.logged.contains("is not used"), "\(server.logged)")
    }

    @Test("what Kubernetes renews by turning ..data is served, each time, and the folder of before may go")
    func kubernetes() throws {
        let volume = authority.path("volume")
        func fill(_ folder: String, _ issued: OpenSSLAuthority.Issued) throws {
            try FileManager.default.createDirectory(atPath: "\(volume)/\(folder)", withIntermediateDirectories: true)
            try put(issued.certificate, "\(volume)/\(folder)/tls.crt")
            try put(issued.key, "\(volume)/\(folder)/tls.key")
            // As the kubelet does it (AtomicWriter).
            symlink(folder, "\(volume)/..data_tmp")
            guard rename("\(volume)/..data_tmp", "\(volume)/..data") == 0 else { throw WireError("no link") }
        }
        let first = try authority.issue("x.test")
        try fill("..2026_1", first)
        for name in ["tls.crt", "tls.key"] { symlink("..data/\(name)", "\(volume)/\(name)") }
        let server = try server("site: {chain: \(volume)/tls.crt, key: \(volume)/tls.key}")
        try eventually(first, server)
        for number in 2...3 {
            let next = try authority.issue("x.test")
            try fill("..2026_\(number)", next)
            try FileManager.default.removeItem(atPath: "\(volume)/..2026_\(number - 1)")
            try eventually(next, server)
        }
    }

    @Test(
        "a chain without its key is not used, says so once, keeps no other certificate from being renewed, and is when the key is there"
    )
    func halfWritten() throws {
        let (old, new) = (try authority.issue("x.test"), try authority.issue("x.test"))
        let (other, renewed) = (try authority.issue("y.test"), try authority.issue("y.test"))
        let ticketed =
            "a: {chain: \(old.certificate), key: \(old.key)}, b: {chain: \(other.certificate), key: \(other.key)}"
        let server = try server(ticketed)
        let before = try authority.issue("before")
        try put(old.certificate, before.certificate)
        try put(new.certificate, old.certificate)
        try server.log("does not belong to the certificate")
        #expect(server.logged.contains("a file has changed and is not used"))
        try put(renewed.certificate, other.certificate)
        try put(renewed.key, other.key)
        try eventually(renewed, server, name: "y.test")
        try eventually(before, server)
        try put(new.key, old.key)
        try eventually(new, server)
        let told = server.logged.components(separatedBy: "\(old.key) does not belong").count - 1
        #expect(told == 1, "\(server.logged)")
    }

    @Test("an authority of clients that is no good says so once, and one that replaces it is used")
    func authorities() throws {
        let issued = try authority.issue("x.test")
        let stranger = try OpenSSLAuthority("stranger")
        let client = try stranger.issue("client")
        let trusted = authority.path("trusted.pem")
        try put(authority.certificate, trusted)
        let server = try Server(
            [
                "--config",
                try authority.write(
                    """
                    listeners: {main: {address: "127.0.0.1:0", client-auth: require, client-ca: \(trusted)}}
                    routes: {echo: {target: echo}}
                    certificates: {site: {chain: \(issued.certificate), key: \(issued.key)}}
                    """, "authorities.yaml"),
            ], workers: 1)
        func isLetIn() throws -> Bool {
            try OpenSSLClient(
                server.port, name: "x.test", says: "comes-back-7", ["-cert", client.certificate, "-key", client.key]
            ).isAnswered
        }
        #expect(try !isLetIn())
        try "no certificate".write(toFile: trusted, atomically: true, encoding: .utf8)
        try server.log("trusted.pem holds no certificate")
        try put(stranger.certificate, trusted)
        try server.log("changed files are in use")
        #expect(try isLetIn())
        #expect(server.logged.components(separatedBy: "trusted.pem holds no certificate").count == 2)
    }

    @Test("a folder that goes and comes back is followed, and with reload-on-change off nothing is")
    func folders() throws {
        let (old, new) = (try authority.issue("x.test"), try authority.issue("x.test"))
        let folder = authority.path("pki/site")
        func fill(_ issued: OpenSSLAuthority.Issued) throws {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try put(issued.certificate, folder + "/c.pem")
            try put(issued.key, folder + "/k.pem")
        }
        try fill(old)
        let certificate = "site: {chain: \(folder)/c.pem, key: \(folder)/k.pem}"
        let server = try server(certificate)
        let still = try self.server(certificate, more: "reload-on-change: false")
        try FileManager.default.removeItem(atPath: authority.path("pki"))
        try server.log("cannot read \(folder)/c.pem")
        try fill(new)
        try eventually(new, server)
        try server.log("changed files are in use")
        try eventually(old, still)
        try still.reload()
        try eventually(new, still)
    }

    @Test(
        "where the kernel tells of no change, files are looked at, which is said once",
        arguments: ["instances", "watches"])
    func deaf(limit: String) throws {
        let (old, new) = (try authority.issue("x.test"), try authority.issue("x.test"))
        let server = try server(
            "site: {chain: \(old.certificate), key: \(old.key)}",
            program: [
                "unshare", "-Ur", "sh", "-c",
                "echo 0 > /proc/sys/user/max_inotify_\(limit) && exec \"$0\" \"$@\"", try BuiltProgram.path("baton"),
            ])
        try server.log("the limit of inotify is reached")
        for next in [new, try authority.issue("x.test")] {
            try put(next.certificate, old.certificate)
            try put(next.key, old.key)
            try eventually(next, server)
        }
        #expect(server.logged.components(separatedBy: "the limit of inotify").count == 2, "\(server.logged)")
    }

    // MARK: The end of certificates

    private func date(in seconds: Double) -> String {
        let format = DateFormatter()
        format.dateFormat = "yyMMddHHmmss'Z'"
        format.timeZone = TimeZone(identifier: "UTC")
        format.locale = Locale(identifier: "en_US_POSIX")
        return format.string(from: Date(timeIntervalSinceNow: seconds))
    }

    @Test(
        "the end of a certificate is told of 30 and 7 days before, and when it comes, by the server and by baton check")
    func expiry() throws {
        let day = 86_400.0
        let ends = [("far", 40 * day), ("month", 20.5 * day), ("week", 3.5 * day)]
        var list: [String] = []
        for (name, seconds) in ends {
            let issued = try authority.issue("\(name).test", end: date(in: seconds))
            list.append("\(name): {chain: \(issued.certificate), key: \(issued.key)}")
        }
        let soon = try authority.issue("soon.test", end: date(in: 8))
        list.append("soon: {chain: \(soon.certificate), key: \(soon.key)}")
        let server = try server(list.joined(separator: ", "), more: "admin: \"127.0.0.1:0\"")
        try server.log("expires in 20 days, on 20")
        try server.log("expires in 3 days, on 20")
        let check = try PeerProcess([try BuiltProgram.path("baton"), "check", "--config", authority.path("baton.yaml")])
        try check.expect(nil)
        #expect(check.status == 0)
        #expect(check.text.contains("warning: the certificate in"), "\(check.text)")
        #expect(check.text.contains("expires in 20 days") && check.text.contains("expires in 3 days"), "\(check.text)")
        #expect(check.text.contains("is good"))
        try server.log("\(soon.certificate) has expired; renew it")

        let command = try PeerProcess([try BuiltProgram.path("baton"), "certificates", "--control", server.control])
        try command.expect(nil)
        let lines = command.text.split(separator: "\n").map(String.init)
        #expect(
            lines.map { $0.split(separator: " ")[0] } == ["CERTIFICATE", "far", "month", "soon", "week"],
            "\(command.text)")
        #expect(lines[1].contains("main"), "\(lines[1])")
        #expect(lines[1].contains("far.test    ECDSA P-256  CN=authority"), "\(lines[1])")
        #expect(lines[3].contains("  -1  "), "\(lines[3])")
        let keys = lines.dropFirst().map { $0.components(separatedBy: "ECDSA")[0].count }
        #expect(Set(keys + [lines[0].components(separatedBy: "KEY")[0].count]).count == 1, "\(command.text)")
        let json = try PeerProcess(
            [try BuiltProgram.path("baton"), "certificates", "--json", "--control", server.control])
        try json.expect(nil)
        #expect(json.text.contains("\"days_left\":20,"), "\(json.text)")
        #expect(json.text.contains("\"names\":[\"month.test\"]"), "\(json.text)")
    }
}
