# Clients of an echo, all busy: crowd.py PORT COUNT. Each sends blocks and compares what comes back by digest. Says 'connected', and 'all
# have moved on' whenever each has had three more blocks back; a line on standard input ends it.
import asyncio, hashlib, os, resource, ssl, sys

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
port, count = int(sys.argv[1]), int(sys.argv[2])
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
done = [0] * count
target, behind = 3, count
isEnding = False


async def connect(gate):
    async with gate:
        return await asyncio.open_connection('127.0.0.1', port, ssl=context, ssl_handshake_timeout=120)


async def exchange(index, reader, writer):
    sent, heard = hashlib.sha256(), hashlib.sha256()
    while not isEnding:
        block = os.urandom(1 + index * 7 % 20000)
        sent.update(block)
        writer.write(block)
        heard.update(await reader.readexactly(len(block)))
        if sent.digest() != heard.digest():
            sys.exit(f'client {index} has heard something else')
        count_block(index)
    writer.close()


def count_block(index):
    global target, behind
    done[index] += 1
    if done[index] != target: return
    behind -= 1
    if behind > 0: return
    target = min(done) + 3
    behind = sum(number < target for number in done)
    print('all have moved on', flush=True)


async def main():
    global isEnding
    gate = asyncio.Semaphore(64)
    pairs = await asyncio.gather(*(connect(gate) for _ in range(count)))
    print('connected', flush=True)
    exchanges = [asyncio.create_task(exchange(index, *pair)) for index, pair in enumerate(pairs)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    isEnding = True
    await asyncio.gather(*exchanges)
    print(f'{sum(number > 0 for number in done)} whole', flush=True)


asyncio.run(main())
