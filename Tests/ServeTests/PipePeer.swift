import StockPeers

/// A stock program that passes its standard input to a server and prints what comes back. Random pieces go through it, two
/// at a time, until the input of this ends; then digests of both directions are compared.
enum PipePeer {
    /// Prints `STARTED` when the first piece has come back, and `SAME` at the end if every byte did.
    static func start(_ command: [String]) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", text] + command)
    }

    private static let text = """
        import hashlib, os, subprocess, sys, threading
        child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        stop = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
        sent, received = hashlib.sha256(), hashlib.sha256()
        waiting, rounds, count = [], 0, 0
        while True:
            while len(waiting) < 2 and not (stop.is_set() and rounds):
                piece = memoryview(os.urandom(1 + os.urandom(1)[0] * 31))
                sent.update(piece)
                waiting.append(len(piece))
                while piece: piece = piece[child.stdin.write(piece):]
            if not waiting: break
            left = waiting.pop(0)
            while left:
                got = child.stdout.read(left)
                if not got: sys.exit(f'CLOSED after {rounds} rounds, status {child.wait()}')
                received.update(got)
                left -= len(got)
                count += len(got)
            rounds += 1
            if rounds == 1: print('STARTED', flush=True)
        print('SAME' if sent.digest() == received.digest() else 'DIFFERENT', count, 'bytes', flush=True)
        child.kill()
        """
}
