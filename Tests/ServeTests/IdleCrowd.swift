import StockPeers

/// Many clients of an echo that say something when they are asked to.
final class IdleCrowd {
    private let process: PeerProcess
    private let count: Int
    private var checks = 0

    init(port: Int, count: Int) throws {
        self.count = count
        process = try PeerProcess(["python3", "-c", Self.text, "\(port)", "\(count)"])
        try check()
    }

    /// Sends something of its own through each, and waits until it has come back.
    func check() throws {
        checks += 1
        try process.send("check \(checks)\n")
        try process.expect("ROUND \(checks)")
        try process.expect("ROUND \(checks): \(count) of \(count)\n")
    }

    private static let text = """
        import asyncio, resource, ssl, sys, threading
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        port, count = int(sys.argv[1]), int(sys.argv[2])
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        async def connect(gate):
            async with gate:
                return await asyncio.open_connection('127.0.0.1', port, ssl=context, ssl_handshake_timeout=120)
        async def check(number, round, reader, writer):
            line = b'%d in round %d\\n' % (number, round)
            writer.write(line)
            try:
                return await asyncio.wait_for(reader.readexactly(len(line)), 60) == line
            except Exception as error:
                print('FAILED', number, repr(error), flush=True)
                return False
        async def run():
            loop = asyncio.get_running_loop()
            gate = asyncio.Semaphore(32)
            pairs = await asyncio.gather(*(connect(gate) for _ in range(count)))
            while True:
                words = (await loop.run_in_executor(None, sys.stdin.readline)).split()
                if not words: break
                round = int(words[1])
                right = await asyncio.gather(*(check(n, round, *pair) for n, pair in enumerate(pairs)))
                print(f'ROUND {round}: {sum(right)} of {count}', flush=True)
        asyncio.run(run())
        """
}
