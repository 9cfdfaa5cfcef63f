import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// PostgreSQL's clients through `starttls: postgres`.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct PostgresTests {
    private func psql(_ port: Int, _ query: String) throws -> PeerProcess {
        // Signals may be blocked where this is started from.
        let text = """
            import os, signal, sys
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.execvp('psql', ['psql', '-X', '-t', '-A', *sys.argv[1:]])
            """
        return try PeerProcess(
            [
                "python3", "-c", text, "host=127.0.0.1 port=\(port) user=postgres dbname=postgres sslmode=require",
                "-c",
                query,
            ])
    }

    private func server(_ port: Int, _ more: [String] = []) throws -> Server {
        try Server(["--listeners.default.starttls", "postgres", "--upstream", "127.0.0.1:\(port)"] + more)
    }

    @Test("psql runs a query over TLS in a session that moves, and its control-C cancels one")
    func psql() throws {
        let postgres = try PostgresServer()
        let server = try server(postgres.port, ["--move-every", "1"])
        let rows = try psql(server.port, "select sum(n), count(*) from generate_series(1, 100000) n")
        try rows.expect("5000050000|100000")
        try rows.expect(nil)
        let sleeping = try psql(server.port, "select pg_sleep(300)")
        let counting = "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(300)'"
        while true {
            let count = try psql(postgresPort: postgres.port, counting)
            if count == "1" { break }
        }
        kill(sleeping.processID, SIGINT)
        try sleeping.expect("canceling statement due to user request")
        try sleeping.expect(nil)
        _ = try server.waitUntil { $0.connections == 0 }
    }

    private func psql(postgresPort port: Int, _ query: String) throws -> String {
        let process = try PeerProcess(
            ["psql", "-X", "-t", "-A", "host=127.0.0.1 port=\(port) user=postgres dbname=postgres", "-c", query])
        try process.expect(nil)
        return process.text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The commands are those that are printed there, with this machine's ports and folders.
    @Test("the first session of README: psql has a transaction open through baton upgrade, temporary table and all")
    func demonstration() throws {
        let readme = try String(contentsOf: ReadmeSession.file, encoding: .utf8)
        let session = try #require(ReadmeSession(readme))
        let postgres = try PostgresServer()
        let flags = session.serve.split(separator: " ").map(String.init)
        let listen = try #require(flags.firstIndex(of: "--listen"))
        var given = flags
        given.replaceSubrange(listen...listen + 1, with: [])
        let server = try Server(given.map { $0 == "127.0.0.1:5432" ? "127.0.0.1:\(postgres.port)" : $0 })
        let target = session.psql.replacing("host=localhost", with: "host=127.0.0.1")
            .replacing("port=6543", with: "port=\(server.port)")
        // As on a terminal, where psql tells of TLS and asks with its prompt.
        let psql = try PeerProcess([
            "env", "-u", "PGDATABASE", "script", "-qfec", "psql -X -n -P pager=off \(target)", "/dev/null",
        ])
        try psql.expect("SSL connection (protocol: TLSv1.3, cipher: TLS_AES_128_GCM_SHA256, compression: off)")
        try psql.expect("postgres=# ")
        try psql.send(session.begin + "\n")
        try psql.expect("(1 row)")
        try psql.expect("postgres=*# ")
        // A terminal's lines end with CR LF.
        func words() -> String { psql.text.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
        let backend = try #require(words().firstMatch(of: #/pg_backend_pid -+ ([0-9]+)/#)?.1)
        let report = try PeerProcess([
            try BuiltProgram.path("baton"), "upgrade", "--control", server.control,
        ])
        try report.expect(nil)
        #expect(report.text.contains(#/^pid [0-9]+ has handed 1 connections to pid [0-9]+ \(baton .*\) in [0-9]+ ms/#))
        #expect(report.status == 0)
        try psql.send(session.end + "\n")
        try psql.expect("COMMIT\r\n")
        #expect(words().contains("tea | \(backend) "), "\(psql.text)")
        try psql.expect("postgres=# ", count: 2)
        try psql.send("\\q\n")
        try psql.expect(nil)
        #expect(psql.status == 0)
    }

    /// What is typed in README's session with psql.
    private struct ReadmeSession {
        let serve: String
        let psql: String
        let begin: String
        let end: String

        static let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "README.md")

        init?(_ readme: String) {
            guard let serve = readme.firstMatch(of: #/\$ baton serve (.*starttls postgres.*) --control [^ ]+ &/#),
                let psql = readme.firstMatch(of: #/\$ psql (".*")/#),
                let begin = readme.firstMatch(of: #/postgres=# (BEGIN;.*)/#),
                let end = readme.firstMatch(of: #/postgres=\*# (SELECT.*COMMIT;)/#)
            else { return nil }
            (self.serve, self.psql) = (String(serve.1), String(psql.1))
            (self.begin, self.end) = (String(begin.1), String(end.1))
        }
    }

    @Test("TLS at once, as clients from version 17 begin it, agrees on their protocol and reaches the database")
    func direct() throws {
        let postgres = try PostgresServer()
        let server = try server(postgres.port)
        let client = try PeerProcess(["python3", "-c", Self.directText, "\(server.port)"])
        try client.expect("ALPN postgresql")
        try client.expect("ANSWER b'R'")
    }

    @Test("a cancel request is given to the upstream behind the PROXY header, and nothing that comes after it")
    func cancel() throws {
        let upstream = try PeerProcess(["python3", "-c", Self.cancelledText])
        let server = try server(
            try upstream.number(behind: "PORT "), ["--upstreams.default.proxy-protocol", "v1"])
        let client = try Wire.connect(UInt16(server.port))
        let request: [UInt8] = [0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 7, 1, 2, 3, 4]
        try client.write(request)
        try upstream.expect("REQUEST 0000001004d2162e0000000701020304")
        // A start without TLS must not slip by behind it.
        try client.write([0, 0, 0, 8, 0, 3, 0, 0])
        try upstream.send("close\n")
        try upstream.expect("MORE b''")
        #expect(try client.read().isEmpty)
    }

    @Test("a cancel request is delivered also for a client that does not wait")
    func hastyCancel() throws {
        let upstream = try PeerProcess(["python3", "-c", Self.cancelledText])
        let server = try server(
            try upstream.number(behind: "PORT "), ["--upstreams.default.proxy-protocol", "v1"])
        do {
            let client = try Wire.connect(UInt16(server.port))
            try client.write([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 7, 1, 2, 3, 4])
        }
        try upstream.expect("REQUEST 0000001004d2162e0000000701020304")
        try upstream.send("close\n")
        _ = try server.waitUntil { $0.connections == 0 }
    }

    @Test("a cancel request counts until the upstream has ended, also if its client has reset the connection")
    func countedCancel() throws {
        let upstream = try PeerProcess(["python3", "-c", Self.cancelledText])
        let server = try server(
            try upstream.number(behind: "PORT "), ["--upstreams.default.proxy-protocol", "v1"])
        do {
            let client = try Wire.connect(UInt16(server.port))
            try client.write([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 7, 1, 2, 3, 4])
            try upstream.expect("REQUEST 0000001004d2162e0000000701020304")
            _ = try server.waitUntil { $0.connections == 1 }
            client.resetAtClose()
        }
        // A stop waits for it.
        server.signal(SIGTERM)
        try server.log("shutting down")
        let report = try server.status()
        #expect(report.connections == 1, "\(report.table)")
        try upstream.send("close\n")
        try upstream.expect("MORE b''")
        try server.end()
    }

    @Test("psql is told that the database cannot be reached")
    func unreachable() throws {
        let server = try server(Int(try Wire.freePort()))
        try psql(server.port, "select 1").expect("FATAL:  the database cannot be reached")
    }

    private static let directText = """
        import socket, ssl, struct, sys
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(['postgresql'])
        s = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60))
        print('ALPN', s.selected_alpn_protocol(), flush=True)
        body = struct.pack('!I', 196608) + b'user\\0postgres\\0database\\0postgres\\0\\0'
        s.sendall(struct.pack('!I', len(body) + 4) + body)
        print('ANSWER', s.recv(1), flush=True)
        """

    private static let cancelledText = """
        import socket, sys
        listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', listener.getsockname()[1], flush=True)
        s = listener.accept()[0]
        s.settimeout(60)
        header = b''
        while not header.endswith(b'\\r\\n'): header += s.recv(1)
        assert header.startswith(b'PROXY TCP4 127.0.0.1 127.0.0.1 ')
        request = b''
        while len(request) < 16: request += s.recv(16 - len(request))
        print('REQUEST', request.hex(), flush=True)
        sys.stdin.readline()
        s.setblocking(False)
        try: more = s.recv(100)
        except BlockingIOError: more = b''
        print('MORE', more, flush=True)
        s.close()
        sys.stdin.read()
        """
}
