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

    @Test("HEAD is answered without a body, and a GET's body is not sent back", arguments: ["--http2", "--http1.1"])
    func withoutBody(version: String) throws {
        let server = try Server()
        let url = "https://localhost:\(server.port)"
        let options = [
            version, "-sS", "--cacert", try Credentials.shared.rootsFile(in: server.files), "--max-time", "60",
        ]
        let heads = try PeerProcess(
            ["curl", "--head", "-w", "connects %{num_connects}\n"] + options + ["\(url)/one", "\(url)/two"])
        try heads.expect(nil)
        #expect(heads.status == 0)
        #expect(heads.text.contains("connects 1") && heads.text.contains("connects 0"), "\(heads.text)")
        #expect(heads.text.contains("content-length: ") && !heads.text.contains("process"), "\(heads.text)")
        let get = try PeerProcess(["curl", "-X", "GET", "-d", "a body"] + options + ["\(url)/three", "\(url)/four"])
        try get.expect(nil)
        #expect(get.status == 0)
        #expect(get.text.contains(", request 2, /four\n") && !get.text.contains("a body"), "\(get.text)")
    }

    @Test("who sends a body and reads nothing is not read for ever, and then gets all of it", arguments: ["2", "1.1"])
    func doesNotRead(version: String) throws {
        let server = try Server()
        let roots = try Credentials.shared.rootsFile(in: server.files)
        let deaf = try PeerProcess(["node", "-e", Self.deaf, "\(server.port)", roots, version])
        try deaf.expect("full\n")
        let other = try PeerProcess(
            ["curl", "-sS", "--cacert", roots, "--max-time", "60", "https://localhost:\(server.port)/other"])
        try other.expect(", request 1, /other\n")
        try deaf.send("read\n")
        try deaf.expect("all came back\n")
    }

    /// Node's client that does not read what it gets, until it is told. It sends at most 64 MiB: a server that goes on reading has all
    /// of that in its memory.
    private static let deaf = """
        const [port, roots, version] = process.argv.slice(1)
        const ca = require('fs').readFileSync(roots)
        const url = `https://localhost:${port}`
        const request = version == '2'
            ? require('http2').connect(url, { ca }).request({ ':path': '/echo', ':method': 'POST' })
            : require('https').request(url + '/echo', { ca, method: 'POST' })
        const answer = version == '2' ? Promise.resolve(request) : new Promise(done => request.on('response', done))
        const piece = Buffer.alloc(65536, 'z')
        let sent = 0, isFull = false
        function send() {
            while (!isFull && sent < 1024) {
                sent += 1
                if (request.write(piece)) continue
                // What is not taken for so long is not taken before the answer is read.
                const timer = setTimeout(() => { isFull = true; console.log('full') }, 3000)
                request.once('drain', () => { clearTimeout(timer); send() })
                return
            }
            if (!isFull) console.log('takes all')
        }
        request.on('error', error => console.log('error', error))
        send()
        process.stdin.once('data', async () => {
            let count = 0
            const reading = await answer
            reading.on('data', bytes => { for (const byte of bytes) if (byte == 122) count += 1 })
            reading.on('end', () => { console.log(count == sent * 65536 ? 'all came back' : `${count}`); process.exit() })
            request.end()
        })
        """

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
