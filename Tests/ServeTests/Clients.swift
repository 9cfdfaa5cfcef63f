import StockPeers

/// Programs in Python that speak through a server.
enum Clients {
    /// Sends random pieces to an echo, and reads them back, until its standard input ends; then it says whether all bytes
    /// agreed.
    ///
    /// - Parameter place: what starts a program where the server is, if that is a network namespace of its own.
    static func exchange(
        _ port: Int, connections: Int = 1, version: String = "TLSv1_3", in place: [String] = []
    ) throws -> PeerProcess {
        try PeerProcess(place + ["python3", "-c", exchangeText, "\(port)", "\(connections)", version])
    }

    /// Sends `size` bytes to an echo while it reads them back; says whether they agreed. A plain one ends its side then,
    /// and expects what the upstream says last.
    static func bulk(_ port: Int, size: Int, isTLS: Bool) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", bulkText, "\(port)", "\(size)", isTLS ? "tls" : "plain"])
    }

    /// An echo without TLS, which answers the end of its client's side with `END`.
    static func upstream() throws -> (process: PeerProcess, port: Int) {
        let process = try PeerProcess(["python3", "-c", upstreamText])
        return (process, try process.number(behind: "PORT "))
    }

    private static let exchangeText = """
        import hashlib, os, socket, ssl, sys, threading
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, sys.argv[3])
        stop = threading.Event()
        results = []
        def run():
            sent, received, rounds = hashlib.sha256(), hashlib.sha256(), 0
            try:
                s = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))))
                s.settimeout(60)
                while not stop.is_set() or rounds == 0:
                    piece = os.urandom(1 + os.urandom(1)[0] * 131)
                    sent.update(piece)
                    s.sendall(piece)
                    count = 0
                    while count < len(piece):
                        got = s.recv(65536)
                        if not got: raise EOFError('closed')
                        received.update(got)
                        count += len(got)
                    rounds += 1
                    if rounds == 1: print('STARTED', flush=True)
                results.append(sent.digest() == received.digest())
            except Exception as error:
                print('FAILED after', rounds, 'rounds:', repr(error), flush=True)
                results.append(False)
        threads = [threading.Thread(target=run) for _ in range(int(sys.argv[2]))]
        for thread in threads: thread.start()
        sys.stdin.read()
        stop.set()
        for thread in threads: thread.join()
        print('WHOLE', sum(results), 'of', len(results), flush=True)
        """

    /// One thread: a TLS object of Python is not to be used from two.
    private static let bulkText = """
        import hashlib, os, select, socket, ssl, sys
        s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
        size, tls = int(sys.argv[2]), sys.argv[3] == 'tls'
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            s = context.wrap_socket(s)
        s.setblocking(False)
        again = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)
        sent, received, count = hashlib.sha256(), hashlib.sha256(), 0
        blob, piece, left, isOpen = os.urandom(1 << 20), b'', size, True
        wanted = size if tls else size + 3
        while count < wanted:
            moved = False
            if not piece and left > 0:
                piece = blob[:min(left, 65536 - left % 977)]
                sent.update(piece)
                left -= len(piece)
            try:
                if piece:
                    taken = s.send(piece)
                    piece, moved = piece[taken:], True
            except again: pass
            if not tls and isOpen and not piece and left == 0:
                s.shutdown(socket.SHUT_WR)
                isOpen = False
            try:
                got = s.recv(65536)
                if not got: break
                received.update(got)
                count, moved = count + len(got), True
            except again: pass
            if not moved and not select.select([s], [s] if piece else [], [], 60)[0] and not piece: break
        if not tls: sent.update(b'END')
        print('SAME' if sent.digest() == received.digest() else 'DIFFERENT', count, 'of', wanted, flush=True)
        """

    private static let upstreamText = """
        import socket, sys, threading
        listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', listener.getsockname()[1], flush=True)
        def serve(s):
            with s:
                try:
                    while True:
                        piece = s.recv(65536)
                        if not piece: break
                        s.sendall(piece)
                    s.sendall(b'END')
                except OSError:
                    pass
        def accept():
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()
        """
}
