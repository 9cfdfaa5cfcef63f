import StockPeers

/// A client of Python's `websockets` that sends random messages to an echo, two at a time, until its input ends.
enum WebSocketPeer {
    /// Prints `STARTED` when the first message has come back, and `SAME` at the end if every byte did.
    static func start(port: Int) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", text, "\(port)"])
    }

    private static let text =
        WebSocketModule.importing + """
            import asyncio, hashlib, ssl, threading
            for name in list(os.environ):
                if name.lower().endswith('_proxy'): del os.environ[name]
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            async def run():
                stop = threading.Event()
                threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
                sent, received, waiting, rounds, count = hashlib.sha256(), hashlib.sha256(), 0, 0, 0
                address = f'wss://127.0.0.1:{sys.argv[1]}/echo'
                async with websockets.connect(address, ssl=context, ping_interval=1, ping_timeout=60) as s:
                    while True:
                        while waiting < 2 and not (stop.is_set() and rounds):
                            piece = os.urandom(1 + os.urandom(1)[0] * 31)
                            sent.update(piece)
                            waiting += 1
                            await s.send(piece)
                        if not waiting: break
                        piece = await s.recv()
                        received.update(piece)
                        waiting -= 1
                        rounds += 1
                        count += len(piece)
                        if rounds == 1: print('STARTED', flush=True)
                    print('SAME' if sent.digest() == received.digest() else 'DIFFERENT', count, 'bytes', flush=True)
            asyncio.run(run())
            """
}
