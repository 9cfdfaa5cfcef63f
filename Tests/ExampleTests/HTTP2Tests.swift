import SelfSigned
import StockPeers
import Testing

@Suite(.timeLimit(.minutes(2)))
struct HTTP2Tests {
    private struct Server {
        let files: TemporaryFiles
        let command: [String]
        let first: PeerProcess
        let port: Int

        init() throws {
            files = try TemporaryFiles()
            let (certificate, key, _) = try Credentials.shared.write("p256", in: files)
            command =
                ["stdbuf", "-oL", try BuiltProgram.path("HTTP2"), "--cert", certificate, "--key", key]
                + ["--control", files.path("control"), "--port", "0"]
            first = try PeerProcess(command)
            port = try first.number(behind: "listens at port ")
        }
    }

    @Test("curl gets pages of one HTTP/2 connection, one after the other and together")
    func curl() throws {
        let server = try Server()
        let url = "https://localhost:\(server.port)"
        let options = [
            "--http2", "-sS", "--cacert", try Credentials.shared.rootsFile(in: server.files), "--max-time", "60",
            "-w", "HTTP %{http_version}, connects %{num_connects}\n",
        ]
        let pages = ["first", "second", "third"]
        let curl = try PeerProcess(["curl"] + options + pages.map { "\(url)/\($0)" })
        try curl.expect(nil)
        #expect(curl.status == 0)
        let pid = server.first.processID
        for (number, path) in pages.enumerated() {
            #expect(curl.text.contains("process \(pid), HTTP/2, request \(number + 1), /\(path)\n"), "\(curl.text)")
        }
        #expect(curl.text.contains("HTTP 2, connects 1") && curl.text.contains("HTTP 2, connects 0"), "\(curl.text)")
        let urls = (0..<20).map { "\(url)/\($0)" }
        let together = try PeerProcess(["curl", "--parallel"] + options + urls)
        try together.expect(nil)
        #expect(together.status == 0)
        for number in 0..<20 { #expect(together.text.contains(", /\(number)\n"), "\(together.text)") }
    }

    @Test("a deploy lets open streams finish, ends idle HTTP/2 connections in order, and moves those of HTTP/1.1")
    func deploy() throws {
        let server = try Server()
        let (old, roots) = (server.first.processID, try Credentials.shared.rootsFile(in: server.files))
        let node = { try PeerProcess(["node", "-e", Self.client, "\(server.port)", roots]) }
        let streaming = try node()
        try streaming.send("get /before\n")
        try streaming.expect("process \(old), HTTP/2, request 1, /before")
        try streaming.send("open /upload\n")
        try streaming.expect("process \(old), HTTP/2, request 2, /upload")
        try streaming.send("get /between\n")
        try streaming.expect("process \(old), HTTP/2, request 3, /between")
        try streaming.send("say first words\n")
        try streaming.expect("heard first words")
        let idle = try node()
        try idle.send("get /idle\n")
        try idle.expect("process \(old), HTTP/2, request 1, /idle")
        let older = try PeerProcess(
            ["openssl", "s_client", "-quiet", "-nocommands", "-connect", "127.0.0.1:\(server.port)"]
                + ["-alpn", "http/1.1"])
        try older.send("GET /one HTTP/1.1\r\nHost: here\r\n\r\n")
        try older.expect("process \(old), HTTP/1.1, request 1, /one")

        let successor = try PeerProcess(server.command)
        let new = successor.processID
        // GOAWAY with no error, and the end of a connection that has no streams.
        try idle.expect("goaway 0")
        try idle.expect("closed in order")
        try streaming.expect("goaway 0")
        // The stream is the old process's until its end, and everybody else the new one's.
        try streaming.send("say more words\n")
        try streaming.expect("heard more words")
        let newcomer = try node()
        try newcomer.send("get /new\n")
        try newcomer.expect("process \(new), HTTP/2, request 1, /new")
        try streaming.send("end\n")
        try streaming.expect("stream ended")
        try streaming.expect("closed in order")
        try successor.expect("took over 1 connections")
        try server.first.expect("has handed on 1 connections, left 0 and ends")
        #expect(server.first.status == 0)
        try older.send("GET /two HTTP/1.1\r\nHost: here\r\n\r\n")
        try older.expect("process \(new), HTTP/1.1, request 1, /two")
        try newcomer.send("get /again\n")
        try newcomer.expect("process \(new), HTTP/2, request 2, /again")
    }

    /// Node's client: it does what the lines of its input say, and says what comes of it.
    private static let client = """
        const http2 = require('http2')
        const [port, roots] = process.argv.slice(1)
        const session = http2.connect(`https://localhost:${port}`, { ca: require('fs').readFileSync(roots) })
        let stream, isFailed = false
        session.on('goaway', code => console.log('goaway', code))
        session.on('error', error => { isFailed = true; console.log('error', error) })
        session.on('close', () => { if (!isFailed) console.log('closed in order') })
        function watch(request, end) {
            request.setEncoding('utf8')
            request.on('data', text => process.stdout.write((text.startsWith('process') ? '' : 'heard ') + text))
            request.on('error', error => { isFailed = true; console.log('error', error) })
            if (end) request.on('end', () => console.log(end))
            return request
        }
        require('readline').createInterface({ input: process.stdin }).on('line', line => {
            const [verb, rest] = [line.split(' ')[0], line.slice(line.indexOf(' ') + 1)]
            if (verb == 'get') watch(session.request({ ':path': rest }))
            if (verb == 'open') stream = watch(session.request({ ':path': rest, ':method': 'POST' }), 'stream ended')
            if (verb == 'say') stream.write(rest + '\\n')
            if (verb == 'end') stream.end()
        })
        """
}
