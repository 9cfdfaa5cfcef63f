import HostLab
import SelfSigned
import StockPeers

/// Programs in the client's namespace, and in the backend's.
enum Clients {
    /// Exchanges random pieces with an echo on many connections: TLS 1.3, TLS 1.2 and plain, IPv4 and IPv6 in turn. Says
    /// READY when all are connected; at the end of its input, how many have had every byte back.
    static func crowd(_ connections: Int, kinds: [String] = ["tls13", "tls12", "plain"]) throws -> PeerProcess {
        try PeerProcess(
            Host.inside(.client) + ["python3", "-c", crowdText, "\(connections)", kinds.joined(separator: ",")])
    }

    /// Connects, exchanges a word and goes, again and again until the end of its input. Says VISIT and a number after each,
    /// and at the end whether any failed.
    static func visitors() throws -> PeerProcess {
        try PeerProcess(Host.inside(.client) + ["python3", "-c", visitorsText])
    }

    /// Sends as fast as it can, while it reads what comes back, until the end of its input; says FLOWING when much has come
    /// back, and at the end whether the bytes agreed.
    static func bulk(_ address: String, _ kind: String) throws -> PeerProcess {
        try PeerProcess(Host.inside(.client) + ["python3", "-c", bulkText, address, kind])
    }

    /// A WebSocket client by the package `websockets`. Sends each line of its input and prints what comes back.
    static func webSocket(_ address: String) throws -> PeerProcess {
        try PeerProcess(Host.inside(.client) + ["python3", "-c", webSocketText, address])
    }

    /// A TCP echo on the backend host, port 7000.
    static func backendEcho() throws -> PeerProcess { try backend(backendEchoText) }

    /// As `backendEcho`, with TLS 1.3, for any name.
    static func backendTLSEcho(in files: TemporaryFiles) throws -> PeerProcess {
        let issued = try HostCredentials.authority.issue(for: ["backend.example"])
        let chain = try files.write(issued.certificatePEM + issued.privateKeyPEM, "backend.pem")
        return try backend(backendTLSEchoText, [chain])
    }

    /// An HTTP server on the backend host, port 7000, that answers GET with so many pseudo-random megabytes and PUT with
    /// the digest of what it got. It says REQUEST when a request has come.
    static func backendHTTP() throws -> PeerProcess { try backend(backendHTTPText) }

    /// A server of WebSockets on the backend host, port 7000, that sends every message back.
    static func backendWebSocket() throws -> PeerProcess { try backend(backendWebSocketText) }

    private static func backend(_ text: String, _ arguments: [String] = []) throws -> PeerProcess {
        let process = try PeerProcess(Host.inside(.backend) + ["python3", "-c", text] + arguments)
        try process.expect("LISTENING")
        return process
    }

    static let connectText = """
        import hashlib, os, socket, ssl, sys, threading
        def connect(address, kind):
            s = socket.create_connection((address, 4444 if kind == 'plain' else 4443), timeout=60)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if kind != 'plain':
                context = ssl.create_default_context()
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                version = ssl.TLSVersion.TLSv1_2 if kind == 'tls12' else ssl.TLSVersion.TLSv1_3
                context.minimum_version = context.maximum_version = version
                s = context.wrap_socket(s)
            s.settimeout(120)
            return s

        """

    private static let crowdText =
        connectText + """
            count, kinds = int(sys.argv[1]), sys.argv[2].split(',')
            stop, connected, whole, failures = threading.Event(), threading.Semaphore(0), [], []
            def run(index):
                rounds = 0
                try:
                    s = connect(['192.0.2.100', '2001:db8::100'][index % 2], kinds[index % len(kinds)])
                    sent, received = hashlib.sha256(), hashlib.sha256()
                    while not stop.is_set() or rounds == 0:
                        piece = os.urandom(1 + os.urandom(1)[0] * 17)
                        sent.update(piece)
                        s.sendall(piece)
                        got = 0
                        while got < len(piece):
                            part = s.recv(65536)
                            if not part: raise EOFError('closed')
                            received.update(part)
                            got += len(part)
                        rounds += 1
                        if rounds == 1: connected.release()
                        # What a crowd of this size can do without keeping both processors from the servers.
                        stop.wait(count * 0.0003)
                    if sent.digest() == received.digest(): whole.append(index)
                    else: failures.append('other bytes')
                    s.close()
                except Exception as error:
                    failures.append(repr(error))
                    connected.release()
            threading.stack_size(1 << 18)
            threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
            for thread in threads: thread.start()
            for _ in threads: connected.acquire()
            print('READY', len(failures), 'failed', flush=True)
            sys.stdin.read()
            stop.set()
            for thread in threads: thread.join()
            for failure in sorted(set(failures)): print('FAILED', failures.count(failure), failure)
            print('WHOLE', len(whole), 'of', count, flush=True)
            """

    private static let visitorsText =
        connectText + """
            stop, failures, number = threading.Event(), [], 0
            threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
            while not stop.is_set():
                number += 1
                try:
                    with connect(['192.0.2.100', '2001:db8::100'][number % 2], ['tls13', 'plain'][number % 3 == 0]) as s:
                        for _ in range(3):
                            s.sendall(b'word')
                            if s.recv(4) != b'word': raise EOFError('other bytes')
                except Exception as error:
                    failures.append((number, repr(error)))
                print('VISIT', number, flush=True)
            print('FAILED %s' % failures if failures else 'NONE FAILED', flush=True)
            """

    /// One thread, because two must not use one TLS connection at a time.
    private static let bulkText =
        connectText + """
            import select
            s = connect(sys.argv[1], sys.argv[2])
            s.setblocking(False)
            stop = threading.Event()
            threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
            sent, received = hashlib.sha256(), hashlib.sha256()
            blob, piece, total, count, isFlowing = os.urandom(1 << 20), b'', 0, 0, False
            again = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)
            while not stop.is_set() or piece or count < total:
                moved = False
                if not piece and not stop.is_set():
                    piece = blob[:65536 - total % 977]
                    sent.update(piece)
                    total += len(piece)
                try:
                    if piece:
                        taken = s.send(piece)
                        piece, moved = piece[taken:], True
                except again: pass
                try:
                    part = s.recv(65536)
                    if not part: break
                    received.update(part)
                    count, moved = count + len(part), True
                except again: pass
                if count > 1 << 20 and not isFlowing:
                    isFlowing = True
                    print('FLOWING', flush=True)
                if not moved: select.select([s], [s] if piece else [], [], 1)
            print('SAME' if sent.digest() == received.digest() else 'DIFFERENT', count, 'of', total, flush=True)
            """

    private static let webSocketText =
        WebSocketModule.importing + """
            import asyncio, ssl
            for name in list(os.environ):
                if name.lower().endswith('_proxy'): del os.environ[name]
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            host = '[%s]' % sys.argv[1] if ':' in sys.argv[1] else sys.argv[1]
            async def run():
                address = 'wss://%s:4443/' % host
                async with websockets.connect(address, ssl=context, open_timeout=60, ping_interval=None) as w:
                    print('OPEN', flush=True)
                    while line := await asyncio.to_thread(sys.stdin.readline):
                        await w.send(line.strip())
                        print('BACK', await asyncio.wait_for(w.recv(), 60), flush=True)
            asyncio.run(run())
            """

    private static let backendEchoText = """
        import socket, sys, threading
        listener = socket.create_server(('::', 7000), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
        def serve(s):
            with s:
                try:
                    while True:
                        piece = s.recv(65536)
                        if not piece: break
                        s.sendall(piece)
                except OSError: pass
        def accept():
            threading.stack_size(1 << 18)
            while True:
                s = listener.accept()[0]
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=serve, args=(s,), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        print('LISTENING', flush=True)
        sys.stdin.read()
        """

    private static let backendTLSEchoText = """
        import socket, ssl, sys, threading
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[1])
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        listener = socket.create_server(('', 7000))
        def serve(s):
            try:
                s = context.wrap_socket(s, server_side=True)
                while piece := s.recv(65536): s.sendall(piece)
            except OSError: pass
        def accept():
            while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        print('LISTENING', flush=True)
        sys.stdin.read()
        """

    private static let backendHTTPText = """
        import hashlib, http.server, sys, threading
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            def do_GET(self):
                # In one piece: two threads say it.
                print('REQUEST\\n', end='', flush=True)
                size = int(self.path.strip('/')) << 20
                self.send_response(200)
                self.send_header('Content-Length', str(size))
                self.end_headers()
                block = bytes(range(256)) * 256
                for _ in range(size // len(block)): self.wfile.write(block)
            def do_PUT(self):
                # In one piece: two threads say it.
                print('REQUEST\\n', end='', flush=True)
                left, digest = int(self.headers['Content-Length']), hashlib.sha256()
                if self.headers.get('Expect') == '100-continue': pass
                while left > 0:
                    part = self.rfile.read(min(left, 65536))
                    if not part: return
                    digest.update(part)
                    left -= len(part)
                answer = ('DIGEST ' + digest.hexdigest()).encode()
                self.send_response(200)
                self.send_header('Content-Length', str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            def log_message(self, *words): pass
        server = http.server.ThreadingHTTPServer(('', 7000), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print('LISTENING', flush=True)
        sys.stdin.read()
        """

    private static let backendWebSocketText =
        WebSocketModule.importing + """
            import asyncio
            async def echo(w, path=None):
                async for message in w: await w.send(message)
            async def run():
                async with websockets.serve(echo, '', 7000, ping_interval=None):
                    print('LISTENING', flush=True)
                    await asyncio.to_thread(sys.stdin.read)
            asyncio.run(run())
            """
}
