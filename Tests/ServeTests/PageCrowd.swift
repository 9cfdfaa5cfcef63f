import Foundation
import StockPeers

/// Many connections at once (Python's asyncio and ssl) that ask the built-in page again and again, several requests at a time. An
/// answer that is lost, comes twice or out of order, a reset and an early end are told.
final class PageCrowd {
    private let process: PeerProcess
    private let count: Int
    private var passes = 0

    /// - Parameter version: of TLS, as Python calls it; `nil`: plain.
    init(count: Int, port: Int, version: String?) throws {
        self.count = count
        process = try PeerProcess(["python3", "-c", Self.text, "\(port)", "\(count)", version ?? ""])
        try process.expect("OPEN \(count)\n")
    }

    /// Waits until every connection has had answers since it was asked.
    func pass() throws {
        passes += 1
        try process.send("pass \(passes)\n")
        try process.expect("PASSED \(passes)\n")
    }

    /// Has every connection send an answered request and half of another, and wait.
    func sendHalf() throws {
        passes += 1
        try process.send("half \(passes)\n")
        try process.expect("HALF \(passes)\n")
    }

    /// Has every connection send the other half, and waits for the answers. Then they go on.
    func sendRest() throws {
        try process.send("rest \(passes)\n")
        try process.expect("ANSWERED \(passes)\n")
    }

    /// All end, and the page does so after their last answers.
    func end() throws {
        try process.send("end\n")
        try process.expect("WHOLE \(count)\n")
    }

    /// The processes that have answered.
    var processes: Int { (try? process.number(behind: "PROCESSES ")) ?? 0 }

    private static let text = #"""
        import asyncio, ssl, sys, threading
        port, count, version = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        context = None
        if version:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
        forms = [b'GET', b'HEAD', b'GET', b'PUT', b'GET', b'GET', b'HEAD']
        processes = set()
        def say(*words): print(*words, flush=True)

        def request(number):
            return forms[number % len(forms)] + b' /%d HTTP/1.1\r\nHost: a\r\n\r\n' % number

        async def answer(reader, number):
            head = (await reader.readuntil(b'\r\n\r\n')).decode()
            lines = head.split('\r\n')
            fields = dict(line.lower().split(': ', 1) for line in lines[1:] if line)
            method = forms[number % len(forms)]
            expected = 'HTTP/1.1 405' if method == b'PUT' else 'HTTP/1.1 200'
            assert lines[0].startswith(expected), (number, head)
            assert fields.get('connection') != 'close', head
            body = b'' if method == b'HEAD' else await reader.readexactly(int(fields['content-length']))
            assert method != b'GET' or body.rstrip().endswith(b'</html>'), body
            if 'baton-process' in fields: processes.add(fields['baton-process'])

        class Asker:
            def __init__(self):
                self.number, self.order = 0, None
                self.opened, self.told, self.done = asyncio.Event(), asyncio.Event(), asyncio.Event()

            def tell(self, order):
                self.done.clear()
                self.order = order
                self.told.set()

            def has_done(self):
                self.order = None
                self.told.clear()
                self.done.set()

            async def run(self):
                reader, writer = await asyncio.open_connection('127.0.0.1', port, ssl=context)
                self.opened.set()
                while True:
                    if self.order == 'half':
                        writer.write(request(self.number) + request(self.number + 1)[:20])
                        await answer(reader, self.number)
                        self.has_done()
                        await self.told.wait()
                        assert self.order == 'rest', self.order
                        writer.write(request(self.number + 1)[20:] + request(self.number + 2))
                        for n in (1, 2): await answer(reader, self.number + n)
                        self.number += 3
                    elif self.order == 'end':
                        writer.write(request(self.number))
                        if not version: writer.write_eof()
                        await answer(reader, self.number)
                        if version: writer.close()
                        else: assert await reader.read() == b''
                        self.done.set()
                        return
                    for n in range(5): writer.write(request(self.number + n))
                    for n in range(5): await answer(reader, self.number + n)
                    self.number += 5
                    if self.order in ('pass', 'rest'): self.has_done()
                    # An order is acted upon at once. Without one the next requests are a little later, because so many that ask
                    # all the time would keep both processors from the server.
                    try: await asyncio.wait_for(self.told.wait(), 0.02)
                    except asyncio.TimeoutError: pass

        async def main():
            loop = asyncio.get_running_loop()
            lines = asyncio.Queue()
            def read():
                for line in sys.stdin: loop.call_soon_threadsafe(lines.put_nowait, line.split())
            threading.Thread(target=read, daemon=True).start()
            askers = [Asker() for _ in range(count)]
            tasks = [asyncio.create_task(asker.run()) for asker in askers]
            async def each(events):
                everything = asyncio.gather(*(event.wait() for event in events))
                watched = asyncio.gather(*tasks)
                await asyncio.wait([everything, watched], return_when=asyncio.FIRST_COMPLETED)
                if watched.done(): watched.result()
            await each([asker.opened for asker in askers])
            say('OPEN', count)
            words = {'pass': 'PASSED', 'half': 'HALF', 'rest': 'ANSWERED'}
            while True:
                order = await lines.get()
                for asker in askers: asker.tell(order[0])
                await each([asker.done for asker in askers])
                if order[0] == 'end': break
                say(words[order[0]], order[1])
            await asyncio.gather(*tasks)
            say('PROCESSES', len(processes))
            say('WHOLE', count)

        asyncio.run(main())
        """#
}
