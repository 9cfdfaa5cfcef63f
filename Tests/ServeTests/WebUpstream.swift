import StockPeers

/// An HTTP/1.1 server that echoes: a chunked body chunk by chunk while it arrives, and the messages of a WebSocket. Its
/// page opens a WebSocket to where it came from and sends random pieces, two at a time, as the peers in Python do.
final class WebUpstream {
    let process: PeerProcess
    let port: Int

    init() throws {
        process = try PeerProcess(["python3", "-c", Self.text + Self.page + Self.end])
        port = try process.number(behind: "PORT ")
    }

    /// Tells the page in the browser to come to an end. It says `BROWSER SAME` then if every byte has come back.
    func stopBrowser() throws { try process.send("stop\n") }

    private static let text = """
        import base64, hashlib, socket, sys, threading
        browsers = []
        def receive(f, count):
            got = f.read(count)
            if len(got) < count: raise EOFError
            return got
        def frame(kind, payload):
            size = len(payload)
            if size < 126: head = bytes([128 | kind, size])
            elif size < 65536: head = bytes([128 | kind, 126]) + size.to_bytes(2, 'big')
            else: head = bytes([128 | kind, 127]) + size.to_bytes(8, 'big')
            return head + payload
        def websocket(s, f, path, fields):
            key = fields[b'sec-websocket-key'] + b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
            accept = base64.b64encode(hashlib.sha1(key).digest())
            s.sendall(b'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n'
                b'Sec-WebSocket-Accept: ' + accept + b'\\r\\n\\r\\n')
            print('WEBSOCKET', path.decode(), flush=True)
            lock = threading.Lock()
            if path == b'/browser': browsers.append((s, lock))
            while True:
                first, second = receive(f, 2)
                size = second & 127
                if size == 126: size = int.from_bytes(receive(f, 2), 'big')
                elif size == 127: size = int.from_bytes(receive(f, 8), 'big')
                mask = receive(f, 4)
                whole = (mask * (size // 4 + 1))[:size]
                payload = int.from_bytes(receive(f, size), 'big') ^ int.from_bytes(whole, 'big')
                payload = payload.to_bytes(size, 'big')
                kind = first & 15
                if kind == 1: print('BROWSER', payload.decode(), flush=True)
                else:
                    with lock: s.sendall(frame({8: 8, 9: 10}.get(kind, first & 15), payload))
                if kind == 8: return
        def serve(s):
            f = s.makefile('rb')
            with s:
                try:
                    while True:
                        line = f.readline()
                        if not line: return
                        method, path, _ = line.split()
                        fields = {}
                        while True:
                            field = f.readline().strip()
                            if not field: break
                            name, value = field.split(b':', 1)
                            fields[name.lower()] = value.strip()
                        if b'upgrade' in fields: return websocket(s, f, path, fields)
                        if b'transfer-encoding' in fields:
                            s.sendall(b'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n')
                            while True:
                                size = int(f.readline(), 16)
                                s.sendall(b'%x\\r\\n%b' % (size, receive(f, size + 2)))
                                if size == 0: break
                        else:
                            if path == b'/lost': print('BROWSER LOST', flush=True)
                            s.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Type: text/html\\r\\nContent-Length: %d\\r\\n\\r\\n%b'
                                % (len(page), page))
                except (EOFError, OSError, ValueError):
                    pass
        page = b'''
        """

    private static let page = """
        <!doctype html><title>echo</title><script>
        const socket = new WebSocket(`wss://${location.host}/browser`)
        socket.binaryType = 'arraybuffer'
        let sent = new Uint8Array(32), received = sent, waiting = 0, rounds = 0, count = 0, stops = false
        let turn = Promise.resolve()
        async function chain(digest, piece) {
            const both = new Uint8Array(32 + piece.length)
            both.set(digest)
            both.set(piece, 32)
            return new Uint8Array(await crypto.subtle.digest('SHA-256', both))
        }
        async function say() {
            while (waiting < 2 && !stops) {
                const piece = crypto.getRandomValues(new Uint8Array(1 + Math.random() * 8000))
                sent = await chain(sent, piece)
                waiting += 1
                socket.send(piece)
            }
        }
        async function hear(data) {
            if (typeof data === 'string') { stops = true; return }
            received = await chain(received, new Uint8Array(data))
            waiting -= 1
            rounds += 1
            count += data.byteLength
            if (rounds === 1) socket.send('STARTED')
            if (stops && waiting === 0) socket.send(`${sent.join() === received.join() ? 'SAME' : 'DIFFERENT'} ${count} bytes`)
            await say()
        }
        socket.onopen = () => { turn = turn.then(say) }
        socket.onmessage = message => { turn = turn.then(() => hear(message.data)) }
        socket.onclose = () => fetch('/lost')
        </script>

        """

    private static let end = """
        '''
        listener = socket.create_server(('127.0.0.1', 0), backlog=1024)
        print('PORT', listener.getsockname()[1], flush=True)
        def accept():
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        for line in sys.stdin:
            for s, lock in browsers:
                with lock: s.sendall(frame(1, b'stop'))
        """
}
