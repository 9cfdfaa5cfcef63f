import StockPeers

/// Clients and their upstream in one program, none of which reads: both ends write until nothing moves. Later both read
/// everything, and write the rest.
final class StallingPeer {
    private let process: PeerProcess
    /// Where the upstream listens.
    let upstreamPort: Int

    init() throws {
        process = try PeerProcess(["python3", "-c", Self.text])
        upstreamPort = try process.number(behind: "PORT ")
    }

    /// Connects `connections` clients to `port`. They and the upstream have `size` bytes each to say, of which as many are
    /// written as go.
    ///
    /// - Returns: the bytes that are under way in all.
    func stall(port: Int, connections: Int, size: Int) throws -> Int {
        try process.send("\(port) \(connections) \(size)\n")
        return try process.number(behind: "STALLED ")
    }

    /// Reads everything at both ends.
    func readAll() throws {
        try process.send("read\n")
        try process.expect("END SAME")
    }

    private static let text = """
        import hashlib, os, selectors, socket, ssl, sys
        listener = socket.create_server(('127.0.0.1', 0), backlog=1024)
        print('PORT', listener.getsockname()[1], flush=True)
        port, connections, size = map(int, sys.stdin.readline().split())
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        up, down = os.urandom(size), os.urandom(size)
        class End:
            def __init__(self, s, says, hears):
                s.setblocking(False)
                self.s, self.says, self.sent = s, memoryview(says), 0
                self.hears, self.digest, self.received = hears, hashlib.sha256(), 0
            def write(self):
                try:
                    while self.sent < len(self.says):
                        self.sent += self.s.send(self.says[self.sent:self.sent + 65536])
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    pass
            def read(self):
                try:
                    while self.received < size:
                        got = self.s.recv(65536)
                        if not got: sys.exit(f'CLOSED after {self.received} bytes')
                        self.digest.update(got)
                        self.received += len(got)
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    pass
            def wants(self, reads):
                return ((selectors.EVENT_WRITE if self.sent < size else 0)
                    | (selectors.EVENT_READ if reads and self.received < size else 0))
        ends = []
        for _ in range(connections):
            client = context.wrap_socket(socket.create_connection(('127.0.0.1', port)))
            upstream, _ = listener.accept()
            ends += [End(client, up, down), End(upstream, down, up)]
        def run(reads, limit):
            selector = selectors.DefaultSelector()
            for end in ends:
                if end.wants(reads): selector.register(end.s, end.wants(reads), end)
            while selector.get_map():
                ready = selector.select(limit)
                if not ready: break
                for key, events in ready:
                    end = key.data
                    if events & selectors.EVENT_WRITE: end.write()
                    if events & selectors.EVENT_READ: end.read()
                    wanted = end.wants(reads)
                    if not wanted: selector.unregister(end.s)
                    elif wanted != key.events: selector.modify(end.s, wanted, end)
        # That nothing has moved for a moment is what being full looks like.
        run(False, 1)
        print('STALLED', sum(end.sent for end in ends), flush=True)
        sys.stdin.readline()
        run(True, 60)
        same = all(end.digest.digest() == hashlib.sha256(end.hears).digest() for end in ends)
        print('END', 'SAME' if same else f'DIFFERENT {[(e.sent, e.received) for e in ends]}', flush=True)
        """
}
