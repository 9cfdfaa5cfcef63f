/// Many TLS clients that say nothing.
final class IdleClients {
    private let program: Program

    /// Connects them; each has finished its handshake when this returns.
    init(port: Int, count: Int) throws {
        program = try Program(
            Proxy.roomy + ["python3", "-c", Self.text, "\(port)", "\(count)"], core: 0, isHeard: true)
        try program.expect("CONNECTED")
    }

    /// Whether every one still works: a line goes through each, to an echo.
    func check() throws {
        try program.say("check")
        try program.expect("WORK")
    }

    private static let text = """
        import asyncio, resource, ssl, sys
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        port, count = int(sys.argv[1]), int(sys.argv[2])
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        async def connect(gate):
            async with gate:
                return await asyncio.open_connection('127.0.0.1', port, ssl=context, ssl_handshake_timeout=120)
        async def check(reader, writer):
            writer.write(b'line\\n')
            if await reader.readexactly(5) != b'line\\n': sys.exit('another line')
        async def run():
            gate = asyncio.Semaphore(32)
            pairs = await asyncio.gather(*(connect(gate) for _ in range(count)))
            print('CONNECTED', flush=True)
            while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
                await asyncio.gather(*(check(*pair) for pair in pairs))
                print('WORK', flush=True)
        asyncio.run(run())
        """
}
