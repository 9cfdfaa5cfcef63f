import Foundation
import Testing

/// A Hummingbird application that is replaced twice under its clients.
@Suite(.timeLimit(.minutes(5))) struct DeployTests {
    private let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "baton-hb-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let openssl = try PeerProcess(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7"]
                + ["-keyout", folder + "/key.pem", "-out", folder + "/cert.pem", "-subj", "/CN=localhost"]
                + ["-addext", "subjectAltName=DNS:localhost"])
        guard openssl.status == 0 else { throw TestFailure("openssl makes no certificate") }
    }

    private func start() throws -> PeerProcess {
        for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
            let program = URL(fileURLWithPath: argument).deletingLastPathComponent().path + "/MovingPages"
            guard access(program, X_OK) == 0 else { continue }
            return try PeerProcess([program, folder + "/cert.pem", folder + "/key.pem", "0", folder + "/control"])
        }
        throw TestFailure("MovingPages is not beside the test bundle: \(CommandLine.arguments)")
    }

    private func client(_ port: String) throws -> PeerProcess {
        try PeerProcess(["node", "-e", Self.client, port, folder + "/cert.pem"])
    }

    /// Who answers, and by which port of the client's.
    private func who(_ client: PeerProcess) throws -> (process: Int32, port: String) {
        try client.send("get /who")
        let process = Int32(try client.expect("answer process ")) ?? 0
        return (process, try client.expect("port "))
    }

    @Test(
        "kept connections and a WebSocket go through two deploys, a request in flight is answered first, and all end in order"
    )
    func deploys() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let first = try start()
        let port = try first.expect("port=").prefix { $0.isNumber }
        let kept = try client(String(port))
        let before = try who(kept)
        #expect(before.process == first.processID)
        let socket = try PeerProcess(["python3", "-c", Self.socket, String(port), folder + "/cert.pem"])
        try socket.send("one")
        try socket.expect("process \(first.processID), message 1: one")
        let upload = try client(String(port))
        try upload.send("open /upload")
        try upload.send("say half of it")
        try upload.expect("heard process \(first.processID) has got 10 bytes")

        let second = try start()
        // The connection has moved as soon as the new process answers.
        var after = try who(kept)
        while after.process != second.processID { after = try who(kept) }
        #expect(after.port == before.port)
        try upload.send("say the rest")
        try upload.expect("heard process \(first.processID) has got 8 bytes")
        try upload.send("end")
        try upload.expect("ended")
        try second.expect("took over")
        #expect(first.status == 0)
        // It has followed.
        #expect(try who(upload).process == second.processID)
        try socket.send("two")
        try socket.expect("process \(second.processID), message 2: two")

        let third = try start()
        try third.expect("took over")
        #expect(second.status == 0)
        let last = try who(kept)
        #expect(last.process == third.processID && last.port == before.port)
        #expect(try who(upload).process == third.processID)
        try socket.send("three")
        try socket.expect("process \(third.processID), message 3: three")
        // Without a successor, idle connections end in order, and WebSockets are told.
        third.terminate()
        try kept.expect("closed")
        try socket.send("four")
        try socket.expect("closed 1001")
        #expect(third.status == 0)
    }

    /// Node's client with one connection.
    private static let client = """
        const https = require('https')
        const [port, roots] = process.argv.slice(1)
        const agent = new https.Agent({ keepAlive: true, maxSockets: 1 })
        let stream
        function ask(path, method, mark, end) {
            const options = { host: 'localhost', family: 4, port, path, method, agent, ca: require('fs').readFileSync(roots) }
            const request = https.request(options, answer => {
                const localPort = answer.socket.localPort
                answer.setEncoding('utf8')
                answer.on('data', text => console.log(mark, text.trimEnd()))
                answer.on('end', () => console.log(end, localPort))
            })
            request.on('socket', socket => {
                if (!socket.isWatched) socket.on('close', () => console.log('closed'))
                socket.isWatched = true
            })
            request.on('error', error => console.log('error', error))
            return request
        }
        require('readline').createInterface({ input: process.stdin }).on('line', line => {
            const [verb, rest] = [line.split(' ')[0], line.slice(line.indexOf(' ') + 1)]
            if (verb == 'get') ask(rest, 'GET', 'answer', 'port').end()
            if (verb == 'open') (stream = ask(rest, 'POST', 'heard', 'ended')).flushHeaders()
            if (verb == 'say') stream.write(rest)
            if (verb == 'end') stream.end()
        })
        """

    /// A client of Python's `websockets`, which some distributions have for their own Python alone.
    private static let socket = """
        import os, sys
        try:
            import websockets
        except ImportError:
            if sys.executable.startswith('/usr/bin/'): raise
            os.execv('/usr/bin/python3', ['/usr/bin/python3'] + sys.orig_argv[1:])
        import asyncio, ssl
        async def main():
            context = ssl.create_default_context(cafile=sys.argv[2])
            async with websockets.connect('wss://localhost:%s/socket' % sys.argv[1], ssl=context) as socket:
                while line := await asyncio.to_thread(sys.stdin.readline):
                    try:
                        await socket.send(line.strip())
                        print(await socket.recv(), flush=True)
                    except websockets.ConnectionClosed as closed:
                        print('closed', closed.rcvd.code, flush=True)
        asyncio.run(main())
        """
}
