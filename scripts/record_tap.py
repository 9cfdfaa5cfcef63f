# Stands between a client and a server that speak TLS 1.2 with AES-GCM, and reads the explicit nonce of each record that
# passes (RFC 5288 section 3). Under a key each comes once, and is one more than the one before.
#
# record_tap.py, then lines on standard input: target PORT, count
import asyncio, sys
target = 0
records = repeated = skipped = 0
class Direction:
    """What one side of one connection sends."""
    def __init__(self): self.pending, self.isSealed, self.last, self.seen = b'', False, None, set()
    def take(self, piece):
        global records, repeated, skipped
        self.pending += piece
        while len(self.pending) >= 5 and len(self.pending) >= 5 + int.from_bytes(self.pending[3:5], 'big'):
            length = 5 + int.from_bytes(self.pending[3:5], 'big')
            record, self.pending = self.pending[:length], self.pending[length:]
            if self.isSealed:
                nonce = int.from_bytes(record[5:13], 'big')
                records += 1
                repeated += nonce in self.seen
                skipped += self.last is not None and nonce != (self.last + 1) & 0xffffffffffffffff
                self.seen.add(nonce)
                self.last = nonce
            # change_cipher_spec: what follows is sealed.
            elif record[0] == 20: self.isSealed = True
async def pump(reader, writer):
    direction = Direction()
    try:
        while piece := await reader.read(1 << 16):
            direction.take(piece)
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError: writer.transport.abort()
async def serve(reader, writer):
    far = await asyncio.open_connection('127.0.0.1', target)
    await asyncio.gather(pump(reader, far[1]), pump(far[0], writer))
async def run():
    global target
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(serve, '127.0.0.1', 0, backlog=4096)
    print('TAP', server.sockets[0].getsockname()[1], flush=True)
    while words := (await loop.run_in_executor(None, sys.stdin.readline)).split():
        if words[0] == 'target':
            target = int(words[1])
            print('TARGET', target, flush=True)
        elif words[0] == 'count': print('RECORDS %d, %d repeated, %d out of step\nCOUNTED' % (records, repeated, skipped), flush=True)
asyncio.run(run())
