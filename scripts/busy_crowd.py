# Many connections at once through a server to an upstream of its own, both sides of all of which send and check what comes.
# A byte that is lost, comes twice or out of order, a reset and an early end are told. All connect before any of them speaks.
#
# busy_crowd.py plain|tls|tls12|unix|echo SOCKET CERTIFICATE KEY COUNT RATE, then lines on standard input: connect PORT, pass N,
# tick N, end
#
# With `echo` there is no upstream: the server itself sends back what comes.
#
# Who connects with 0xffffffff in place of a number is none of the crowd, and gets back what it sends.
import asyncio, random, resource, ssl, sys, time
kind, path, certificate, key, count, rate = sys.argv[1:4] + sys.argv[4:5] + [int(n) for n in sys.argv[5:7]]
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
# What a stream carries: this again and again, from a place of its own.
block = random.Random(1).randbytes(1 << 16)
double = block + block
speaking, ending = asyncio.Event(), asyncio.Event()
ends, pairs = [], {}
class End:
    """One side of a connection. Both sides are in this process, so each knows how much the other has sent."""
    def __init__(self, number, side, reader, writer):
        self.reader, self.writer = reader, writer
        self.mine, self.theirs = (number * 7919 + n * 4241 for n in (side, side if kind == 'echo' else 1 - side))
        self.sent = self.had = self.mark = 0
        self.fault, self.hasSaid, self.longest, self.heard = None, False, 0, time.monotonic()
        ends.append(self)
        if kind == 'echo': pairs[number] = [self, self]
        else: pairs.setdefault(number, [None, None])[side] = self
        self.pair, self.side = pairs[number], side
    def isWhole(self):
        other = self.pair[1 - self.side]
        return other is not None and other.hasSaid and self.had == other.sent and self.fault is None
    async def say(self):
        await speaking.wait()
        self.heard = time.monotonic()
        while not ending.is_set():
            count = random.choice((1, 100, 1000, 16384))
            at = (self.mine + self.sent) & 0xffff
            self.writer.write(double[at:at + count])
            self.sent += count
            await self.writer.drain()
            try: await asyncio.wait_for(ending.wait(), random.uniform(0.5, 1.5) / rate)
            except asyncio.TimeoutError: pass
        self.hasSaid = True
    async def hear(self):
        while not self.isWhole():
            piece = await self.reader.read(1 << 16)
            now = time.monotonic()
            self.longest, self.heard = max(self.longest, now - self.heard), now
            at = (self.theirs + self.had) & 0xffff
            if not piece: raise Exception('an early end at %d' % self.had)
            if piece != double[at:at + len(piece)]: raise Exception('other bytes than were sent, behind %d' % self.had)
            self.had += len(piece)
    async def work(self):
        try: await asyncio.gather(self.say(), self.hear())
        except Exception as error: self.fault = repr(error)
tasks = set()
async def echo(reader, writer):
    try:
        while piece := await reader.read(1 << 16): writer.write(piece)
    except OSError: pass
    writer.close()
async def serve(reader, writer):
    number = int.from_bytes(await reader.readexactly(4), 'big')
    writer.write(b'!')
    if number == 0xffffffff: return await echo(reader, writer)
    await End(number, 1, reader, writer).work()
def trusting(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    return context
old, new = trusting(ssl.TLSVersion.TLSv1_2), trusting(ssl.TLSVersion.TLSv1_3)
async def connect(number, port, gate):
    context = old if number % 3 == 0 or kind == 'tls12' else new
    async with gate:
        reader, writer = await asyncio.open_connection('127.0.0.1', port, ssl=context, ssl_handshake_timeout=120)
        writer.write(number.to_bytes(4, 'big'))
        await reader.readexactly(4 if kind == 'echo' else 1)
    tasks.add(asyncio.ensure_future(End(number, 0, reader, writer).work()))
    # A sign of life for whoever waits.
    if len(tasks) % 50 == 0: print('CONNECTED', len(tasks), flush=True)
async def run():
    loop = asyncio.get_running_loop()
    context = None
    if kind in ('tls', 'tls12'):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        if kind == 'tls12': context.maximum_version = ssl.TLSVersion.TLSv1_2
    if kind == 'echo':
        print('UPSTREAM 0', flush=True)
    elif kind == 'unix':
        server = await asyncio.start_unix_server(serve, path, backlog=4096)
        print('UPSTREAM 0', flush=True)
    else:
        server = await asyncio.start_server(serve, '127.0.0.1', 0, ssl=context, backlog=4096)
        print('UPSTREAM', server.sockets[0].getsockname()[1], flush=True)
    def faults(): return [end.fault for end in ends if end.fault]
    async def until(isDone, limit=240):
        deadline = time.monotonic() + limit
        while not isDone() and not faults() and time.monotonic() < deadline: await asyncio.sleep(0.01)
    while True:
        words = (await loop.run_in_executor(None, sys.stdin.readline)).split()
        if not words: break
        if words[0] == 'connect':
            gate = asyncio.Semaphore(32)
            await asyncio.gather(*(connect(n, int(words[1]), gate) for n in range(count)))
            speaking.set()
            await until(lambda: len(ends) == (1 if kind == 'echo' else 2) * count and all(end.had for end in ends))
            print('BUSY', sum(all(end and end.had for end in pair) for pair in pairs.values()), 'of', count, faults()[:3], flush=True)
        elif words[0] == 'pass':
            for end in ends: end.mark = end.had
            await until(lambda: all(end.had > end.mark for end in ends))
            if faults() or not all(end.had > end.mark for end in ends):
                print('STUCK', sum(end.had == end.mark for end in ends), faults()[:3], flush=True)
            print('PASSED', words[1], flush=True)
        elif words[0] == 'tick':
            await asyncio.sleep(1)
            print('TICK', words[1], flush=True)
        elif words[0] == 'end':
            ending.set()
            await until(lambda: all(end.isWhole() for end in ends))
            whole = [all(end and end.isWhole() for end in pair) for pair in pairs.values()]
            for fault in faults()[:5]: print('FAULT', fault, flush=True)
            print('BYTES', sum(end.had for end in ends), flush=True)
            print('WHOLE', sum(whole), 'of', count, flush=True)
            print('LONGEST %.3f s without a byte' % max(end.longest for end in ends), flush=True)
asyncio.run(run())
