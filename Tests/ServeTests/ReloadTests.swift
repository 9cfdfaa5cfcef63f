import BatonConfiguration
import Foundation
import SelfSigned
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct ReloadTests {
    /// A server with a certificate that can be replaced.
    private struct Site {
        let files: TemporaryFiles
        let server: Server
        let configuration: String

        init(_ certificate: String, more: String = "") throws {
            files = try TemporaryFiles()
            configuration = files.path("baton.yaml")
            let text = """
                listeners: {default: {address: "127.0.0.1:0"}}
                routes: {default: {target: echo}}
                certificates: {site: {chain: "\(files.path("site.pem"))", key: "\(files.path("site.key"))"}}
                \(more)

                """
            try Self.use(certificate, files)
            _ = try files.write(text, "baton.yaml")
            server = try Server(["--config", configuration])
        }

        func use(_ certificate: String) throws { try Self.use(certificate, files) }

        private static func use(_ certificate: String, _ files: TemporaryFiles) throws {
            _ = try files.write(Credentials.shared[certificate].certificatePEM, "site.pem")
            _ = try files.write(Credentials.shared[certificate].privateKeyPEM, "site.key")
        }

        func reload(_ options: [String] = []) throws -> PeerProcess {
            try PeerProcess([try BuiltProgram.path("baton"), "reload", "--control", server.control] + options)
        }

        /// The subject's alternative names of the certificate that clients see.
        func names() throws -> String {
            let client = try PeerProcess(
                [
                    "bash", "-c",
                    "openssl s_client -connect 127.0.0.1:\(server.port) -servername a.example.com </dev/null 2>/dev/null "
                        + "| openssl x509 -noout -ext subjectAltName",
                ])
            try client.expect(nil)
            return client.text
        }

        /// A program that `baton upgrade --binary` starts and that waits for a word: its first line, then what it does.
        func newBinary(_ then: String) throws -> (path: String, go: () throws -> Void) {
            let pipe = files.path("go")
            #expect(mkfifo(pipe, 0o600) == 0)
            let path = try files.write("#!/bin/sh\nread word <'\(pipe)'\n\(then)\n", "new")
            chmod(path, 0o755)
            return (path, { try "go\n".write(toFile: pipe, atomically: false, encoding: .utf8) })
        }

        func upgrade(to binary: String) throws -> PeerProcess {
            try PeerProcess(
                [try BuiltProgram.path("baton"), "upgrade", "--control", server.control, "--binary", binary])
        }
    }

    @Test("baton reload returns when the new certificate is served, and fails with the reason when nothing has changed")
    func command() throws {
        let site = try Site("wildcard")
        let client = try Clients.exchange(site.server.port)
        try client.expect("STARTED")
        #expect(try site.names().contains("*.example.com"))
        try site.use("exact")
        let reload = try site.reload()
        try reload.expect(nil)
        #expect(reload.text.contains("1 listener, 1 certificate"), "\(reload.text)")
        #expect(try site.names().contains("www.example.com"))
        let json = try site.reload(["--json"])
        try json.expect("\"certificates\":1")
        _ = try site.files.write("no key at all", "site.key")
        let refused = try site.reload()
        try refused.expect("site.key")
        try refused.expect(nil)
        #expect(refused.status == 1)
        #expect(try site.names().contains("www.example.com"))
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test("a reload that is asked for during an upgrade that fails is done behind it")
    func duringFailedUpgrade() throws {
        let site = try Site("wildcard")
        let binary = try site.newBinary("exit 3")
        let upgrade = try site.upgrade(to: binary.path)
        try site.server.log("a new server starts")
        try site.use("exact")
        site.server.signal(SIGHUP)
        try site.server.log("as soon as that can be")
        let reload = try site.reload()
        try binary.go()
        try upgrade.expect("exit status 3")
        try reload.expect("has read")
        #expect(try site.names().contains("www.example.com"))
    }

    @Test("a reload that is asked for during an upgrade is done by the new server")
    func duringUpgrade() throws {
        let site = try Site("wildcard")
        let binary = try site.newBinary("exec '\(try BuiltProgram.path("baton"))' \"$@\"")
        let before = try site.server.frontID()
        let upgrade = try site.upgrade(to: binary.path)
        try site.server.log("a new server starts")
        let reload = try site.reload(["--json"])
        site.server.signal(SIGHUP)
        try site.server.log("as soon as that can be")
        try site.use("exact")
        try binary.go()
        try upgrade.expect("has handed")
        let after = try site.server.frontID()
        #expect(after != before)
        try reload.expect("\"pid\":\(after)")
        #expect(try site.names().contains("www.example.com"))
    }

    @Test("a named pipe in place of a certificate or of the configuration keeps nobody")
    func namedPipe() throws {
        let site = try Site("wildcard")
        unlink(site.files.path("site.pem"))
        #expect(mkfifo(site.files.path("site.pem"), 0o600) == 0)
        let reload = try site.reload()
        try reload.expect("not a regular file")
        unlink(site.configuration)
        #expect(mkfifo(site.configuration, 0o600) == 0)
        let another = try site.reload()
        try another.expect("cannot be read")
        #expect(try site.names().contains("*.example.com"))
    }

    @Test("new connections are served while hundreds of certificates are read again for several listeners")
    func manyCertificates() throws {
        let site = try Site("wildcard")
        let names = (0..<200).map { number in
            "  c\(number): {chain: \"\(site.files.path("site.pem"))\", key: \"\(site.files.path("site.key"))\","
                + " names: [h\(number).test]}\n"
        }
        let listeners = (0..<4).map { "  l\($0): {address: \"127.0.0.1:0\"}\n" }
        let text = try String(contentsOfFile: site.configuration, encoding: .utf8)
            .replacingOccurrences(of: "listeners: {default", with: "listeners:\n\(listeners.joined())  default")
            .replacingOccurrences(of: "0\"}}\n", with: "0\"}\n")
            .replacingOccurrences(of: "certificates: {site: ", with: "certificates:\n\(names.joined())  site: ")
            .replacingOccurrences(of: "site.key\"}}\n", with: "site.key\"}\n")
        _ = try site.files.write(text, "baton.yaml")
        let client = try Clients.exchange(site.server.port)
        try client.expect("STARTED")
        let reload = try site.reload()
        var served = 0
        repeat {
            #expect(try site.names().contains("*.example.com"))
            served += 1
        } while reload.isRunning
        try reload.expect("5 listeners, 201 certificates")
        #expect(served > 0)
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test("the log level of a reload holds in the workers, too")
    func logLevel() throws {
        let site = try Site("wildcard")
        let text = try String(contentsOfFile: site.configuration, encoding: .utf8)
        _ = try site.files.write(text + "log-level: debug\n", "baton.yaml")
        let reload = try site.reload()
        try reload.expect("has read")
        let client = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(site.server.port)", "-quiet", "-nocommands"])
        try client.send("ping\n")
        try client.expect("ping")
        kill(client.processID, SIGKILL)
        try site.server.log("debug baton.worker")
    }
}
