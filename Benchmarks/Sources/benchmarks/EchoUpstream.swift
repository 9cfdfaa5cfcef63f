/// A plain TCP server that sends back what it gets, on the first processor.
final class EchoUpstream {
    let port: Int
    private let program: Program

    init() throws {
        program = try Program(Program.prompt + Proxy.roomy + ["python3", "-c", Self.text], core: 0, isHeard: true)
        guard let port = Int(try program.line()) else { throw BenchmarkError("the echo has no port") }
        self.port = port
    }

    private static let text = """
        import asyncio, resource
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        class Echo(asyncio.Protocol):
            def connection_made(self, transport): self.transport = transport
            def data_received(self, data): self.transport.write(data)
        async def run():
            server = await asyncio.get_running_loop().create_server(Echo, '127.0.0.1', 0, backlog=4096)
            print(server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()
        asyncio.run(run())
        """
}
