import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// The configurations in docs/examples are served, with addresses and files of this machine instead of theirs.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ExampleConfigurationTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "docs/examples")

    @Test("there is one, and every one is run below")
    func all() throws {
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).sorted() == [
                "baton.yaml", "first.yaml",
            ])
    }

    /// Its ports and its folder may be another's here, so it has a network and a /tmp/baton of its own.
    @Test("first.yaml is served as it is: a page with a temporary certificate, status, metrics, and an upgrade")
    func first() throws {
        let run = try PeerProcess([
            "unshare", "--map-root-user", "--net", "--mount", "bash", "-euc", Self.firstText, "first",
            try BuiltProgram.path("baton"), Self.folder.appending(path: "first.yaml").path,
        ])
        try run.expect(nil)
        let told = run.text.split(separator: "\n").filter { $0.hasPrefix("TOLD ") }.map { $0.dropFirst(5) }
        #expect(told.count == 5, "\(run.text)")
        #expect(told.first == "first.yaml is good", "\(run.text)")
        #expect(told.dropFirst().prefix(3) == ["This connection is alive.", "1 worker", "This connection is alive."])
        #expect(told.last == "ended with 0", "\(run.text)")
    }

    private static let firstText = """
        mkdir -p -m 700 /tmp/baton
        mount -t tmpfs -o mode=700 tmpfs /tmp/baton
        ip link set lo up
        export BATON_CONTROL=/tmp/baton/control.sock TMPDIR=/tmp/baton
        cd "$(dirname "$2")"
        echo "TOLD $("$1" check first.yaml | grep good)"
        "$1" serve first.yaml &
        page() { curl -sk --retry 600 --retry-delay 0 --retry-max-time 60 --retry-connrefused https://localhost:8443/; }
        echo "TOLD $(page | grep -o 'This connection is alive.')"
        curl -sf http://127.0.0.1:9180/metrics | grep -q baton_handshakes_total
        "$1" status | grep -q ready && echo "TOLD 1 worker"
        "$1" upgrade
        echo "TOLD $(page | grep -o 'This connection is alive.')"
        kill -TERM $!
        status=0; wait $! || status=$?
        echo "TOLD ended with $status"
        """

    @Test(
        "baton.yaml: HTTP/2 and HTTP/1.1 reach the TLS upstream, a path the program, mail the mail server, a device the echo"
    )
    func everyKey() throws {
        let files = try TemporaryFiles()
        var yaml = try String(contentsOf: Self.folder.appending(path: "baton.yaml"), encoding: .utf8)
        func replace(_ old: String, _ new: String) {
            #expect(yaml.contains(old), "\(old) is not in the example")
            yaml = yaml.replacing(old, with: new)
        }
        // Moves between hosts need interfaces and rights; their tests have configurations of their own.
        let migration = try #require(yaml.firstRange(of: "migration:\n"))
        let listeners = try #require(yaml.firstRange(of: "listeners:\n"))
        yaml.removeSubrange(migration.lowerBound..<listeners.lowerBound)
        yaml = yaml.split(separator: "\n").filter { !$0.hasPrefix("control:") }.joined(separator: "\n")

        let web = try haproxy(files)
        let mail = files.path("smtp.sock")
        let smtp = try PeerProcess(["python3", "-c", Self.smtpText, mail])
        try smtp.expect("LISTENING")
        let handoff = files.path("handoff")
        let program = try PeerProcess(["stdbuf", "-oL", try BuiltProgram.path("Worker"), "worker", handoff])
        try program.expect("waits for connections")
        let issued = try Credentials.shared.write("exact", in: files)
        replace("127.0.0.1:9180", "127.0.0.1:0")
        replace("address: :443", "address: 127.0.0.1:0")
        replace("address: :25", "address: 127.0.0.1:0")
        replace("address: \"[::]:8883\"", "address: 127.0.0.1:0")
        replace("/etc/baton/example.pem", issued.certificate)
        replace("/etc/baton/example.key", issued.key)
        // The staple and the client's certificate have tests of their own.
        for key in [
            "ocsp: /etc/baton/example.ocsp", "tls-certificate: /etc/baton/client.pem", "tls-key: /etc/baton/client.key",
        ] {
            replace("    \(key)\n", "")
        }
        replace("/run/chat/parcels.sock", handoff)
        replace(
            "[\"10.0.0.10:8443 weight=3\", \"[2001:db8::10]:8443\", web.internal:8443, \"srv:_web._tcp.internal\"]",
            "127.0.0.1:\(web.port)")
        replace("source-addresses: [10.0.0.100, \"2001:db8::100\"]", "source-addresses: [127.0.0.1]")
        replace("tls-name: web.internal", "tls-name: localhost")
        replace("tls-ca: system", "tls-ca: \(try Credentials.shared.rootsFile(in: files))")
        replace("/run/postfix/smtp.sock", mail)
        let server = try Server(["--config", try files.write(yaml, "baton.yaml")])

        func curl(_ name: String, _ path: String, _ flags: [String]) throws -> String {
            let port = try server.port("https")
            let curl = try PeerProcess(
                ["curl", "-sk", "--noproxy", "*", "--max-time", "60", "--resolve", "\(name):\(port):127.0.0.1"] + flags
                    + ["https://\(name):\(port)\(path)"])
            try curl.expect(nil)
            return curl.text
        }
        #expect(try curl("example.com", "/", ["--http2"]) == "h2 example.com\n")
        #expect(try curl("example.com", "/", ["--http1.1"]) == "http/1.1 example.com\n")
        #expect(try curl("chat.example.com", "/socket", ["--http1.1"]).contains("process \(program.processID)"))
        #expect(try curl("chat.example.com", "/other", ["--http1.1"]) == "http/1.1 chat.example.com\n")
        let sender = try PeerProcess(["python3", "-c", Self.senderText, "\(try server.port("mail"))"])
        try sender.expect("ANSWER (250, b'rcpt ok')")
        let device = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(try server.port("devices"))", "-quiet", "-nocommands"])
        try device.send("hello\n")
        try device.expect("hello")
    }

    private func haproxy(_ files: TemporaryFiles) throws -> (process: PeerProcess, port: Int) {
        let pem = try Credentials.shared.write("p256", in: files).both
        return try HAProxy.start(in: files) { port in
            """
            frontend web
              bind 127.0.0.1:\(port) accept-proxy ssl crt \(pem) alpn h2,http/1.1
              http-request return status 200 content-type text/plain lf-string "%[ssl_fc_alpn] %[fc_pp_authority]\\n"
            """
        }
    }

    private static let senderText = """
        import smtplib, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = smtplib.SMTP('127.0.0.1', int(sys.argv[1]), timeout=60)
        client.starttls(context=context)
        client.ehlo()
        client.mail('a@a.example')
        print('ANSWER', client.rcpt('b@b.example'), flush=True)
        """

    /// As much of an SMTP server as a client needs that asks who is there.
    private static let smtpText = """
        import socket, sys
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(sys.argv[1])
        listener.listen()
        print('LISTENING', flush=True)
        while True:
            with listener.accept()[0] as s:
                f = s.makefile('rwb', buffering=0)
                f.write(b'220 ready\\r\\n')
                for line in f:
                    verb = line[:4].decode().lower()
                    f.write(b'221 bye\\r\\n' if verb == 'quit' else ('250 %s ok\\r\\n' % verb).encode())
                    if verb == 'quit': break
        """
}
