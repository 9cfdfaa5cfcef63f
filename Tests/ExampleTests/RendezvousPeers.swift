import SelfSigned
import StockPeers
import Testing

/// Fronts of the example, and clients that go step by step.
struct RendezvousPeers {
    let files = try! TemporaryFiles()
    private let certificate: String
    private let key: String

    init() throws {
        certificate = try files.write(Credentials.shared["p256"].certificatePEM, "cert.pem")
        key = try files.write(Credentials.shared["p256"].privateKeyPEM, "key.pem")
    }

    /// Starts a front, or its successor.
    func start(_ name: String, port: Int = 0, tokens: Int = 10_000) throws -> PeerProcess {
        try PeerProcess(
            ["stdbuf", "-oL", try BuiltProgram.path("Rendezvous"), "--front", name, "--fronts", "a,b"]
                + ["--cluster", files.path("cluster"), "--port", "\(port)", "--cert", certificate, "--key", key]
                + ["--tokens", "\(tokens)"])
    }

    /// Starts a front, which takes connections of the other when this returns.
    func front(_ name: String, tokens: Int = 10_000) throws -> (process: PeerProcess, port: Int) {
        let front = try start(name, tokens: tokens)
        let port = try front.number(behind: "listens at port ")
        try front.expect("takes connections from other fronts")
        return (front, port)
    }

    /// Replaces a front by another process; the old one has ended when this returns.
    func deploy(_ name: String, replacing old: PeerProcess) throws -> PeerProcess {
        let new = try start(name)
        try new.expect("front \(name) took over")
        try old.expect("has handed on")
        try old.expect(nil)
        #expect(old.status == 0)
        try new.expect("takes connections from other fronts")
        return new
    }

    func curl(_ arguments: [String]) throws -> PeerProcess {
        try PeerProcess(["curl", "-sSk", "--noproxy", "*", "--max-time", "100"] + arguments)
    }

    /// Uploads what its standard input tells it to: `send N` sends N random bytes, `flood S` sends until nothing has been taken
    /// for S seconds or all is sent, `answer` prints the answer's first line and the digest of what was sent.
    func uploader(_ port: Int, _ token: String, total: Int) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", Self.connecting + Self.uploading, "\(port)", token, "\(total)"])
    }

    /// Downloads as its standard input tells it: `head` reads the response's head, `all` the rest, and prints its digest.
    func downloader(_ port: Int, _ token: String) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", Self.connecting + Self.downloading, "\(port)", token])
    }

    /// Sends these bytes, and prints the answer's first line.
    func client(_ port: Int, sending bytes: String) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", Self.connecting + Self.asking, "\(port)", bytes])
    }

    /// Connects, and does not begin its handshake.
    func stuck(_ port: Int) throws -> PeerProcess {
        let connecting = "import socket, sys\ns = socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
        return try PeerProcess(
            ["python3", "-c", connecting + "\nprint('CONNECTED', flush=True)\nsys.stdin.readline()", "\(port)"])
    }

    /// Prints what it is told by WebSocket.
    func watcher(_ port: Int, _ token: String) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", WebSocketModule.importing + Self.watching, "\(port)", token])
    }

    private static let connecting = """
        import hashlib, random, socket, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.connect(('127.0.0.1', int(sys.argv[1])))
        t = context.wrap_socket(s)
        digest = hashlib.sha256()

        """

    private static let asking = """
        t.sendall(sys.argv[2].encode())
        print('ANSWER', t.makefile('rb').readline().decode(), flush=True)
        """

    private static let uploading = """
        total, sent = int(sys.argv[3]), 0
        t.sendall(f'PUT /{sys.argv[2]} HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: {total}\\r\\n\\r\\n'.encode())
        print('UPLOADER', flush=True)
        waiting = b''
        for command in sys.stdin:
            verb, _, number = command.strip().partition(' ')
            if verb == 'send':
                piece = random.randbytes(int(number))
                digest.update(piece)
                t.sendall(piece)
                sent += len(piece)
                print('SENT', sent, flush=True)
            elif verb == 'flood':
                t.settimeout(float(number) or None)
                try:
                    while sent < total:
                        if not waiting:
                            waiting = random.randbytes(min(65536, total - sent))
                            digest.update(waiting)
                        count = t.send(waiting)
                        waiting, sent = waiting[count:], sent + count
                    print('ALL SENT', flush=True)
                except TimeoutError:
                    print('BLOCKED AFTER', sent, flush=True)
                t.settimeout(None)
            elif verb == 'answer':
                print('ANSWER', t.makefile('rb').readline().decode().strip(), digest.hexdigest(), flush=True)
        """

    private static let downloading = """
        t.sendall(f'GET /{sys.argv[2]} HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'.encode())
        f = t.makefile('rb')
        for command in sys.stdin:
            if command.strip() == 'head':
                length = 0
                print(f.readline().decode().strip(), flush=True)
                while (line := f.readline().decode().strip()):
                    if line.lower().startswith('content-length:'): length = int(line.split(':')[1])
                print('LENGTH', length, flush=True)
            elif command.strip() == 'all':
                while length:
                    piece = f.read(min(65536, length))
                    if not piece: sys.exit('CUT OFF')
                    digest.update(piece)
                    length -= len(piece)
                print('RECEIVED', digest.hexdigest(), flush=True)
        """

    private static let watching = """
        import asyncio, ssl
        for name in list(os.environ):
            if name.lower().endswith('_proxy'): del os.environ[name]
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        async def run():
            async with websockets.connect(f'wss://127.0.0.1:{sys.argv[1]}/{sys.argv[2]}/events', ssl=context) as s:
                async for message in s: print(message, flush=True)
        asyncio.run(run())
        """
}
