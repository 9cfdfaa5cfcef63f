#!/usr/bin/env python3
"""Measures which setting of `baton serve` notices which failure of a client, and after how long (docs/liveness.md).

    sudo scripts/liveness.py .build/release/baton [SECONDS [FAILURE [COUNT]]]

Clients reach the server through a router that translates their address, all in network namespaces of their own. Then one thing is cut,
and the upstream of each connection tells when its end came, at most SECONDS (30) after the cut. FAILURE, a row of the table, is cut alone;
with COUNT nothing is waited for once so many connections have ended. Needs root, iproute2, nftables and conntrack. Every address is of
the documentation ranges (RFC 5737).
"""
import asyncio
import contextlib
import os
import selectors
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time

SERVER = '192.0.2.2'
NOTHING = {'keepalive-idle': 'off', 'user-timeout': 'off'}
KEEPALIVE = {'keepalive-idle': '2s', 'keepalive-interval': '1s', 'keepalive-count': '3'}
SETTINGS = {
    'nothing': NOTHING,
    'keepalive': {**KEEPALIVE, 'user-timeout': 'off'},
    'user-timeout': {'keepalive-idle': 'off', 'user-timeout': '6s'},
    'both': {**KEEPALIVE, 'user-timeout': '8s'},
    'idle-time': {**NOTHING, 'idle-time': '5s'},
    'heartbeat': NOTHING,
}
# A heartbeat is traffic, so there is no idle connection with one.
LABELS = [f'{setting} {situation}' for setting in SETTINGS for situation in ('idle', 'sending')
          if (setting, situation) != ('heartbeat', 'sending')]
HEARTBEAT, PATIENCE = 1, 3
SETTLED = 1


# ---- The upstream and the clients: this program again, in the namespaces ----------------------------------------------------------

async def upstream():
    async def serve(reader, writer):
        label = (await reader.readline()).decode().strip()
        print('BEGIN', label, 0, flush=True)
        setting, situation = label.split()
        heard = asyncio.Event()

        async def read():
            while await reader.read(65536):
                heard.set()

        async def send():
            while True:
                writer.write(bytes(65536))
                await writer.drain()
                await asyncio.sleep(0.1)

        async def ask():
            while True:
                heard.clear()
                writer.write(b'?')
                await asyncio.wait_for(heard.wait(), PATIENCE)
                await asyncio.sleep(HEARTBEAT)

        tasks = [asyncio.create_task(read())]
        if setting == 'heartbeat':
            tasks.append(asyncio.create_task(ask()))
        elif situation == 'sending':
            tasks.append(asyncio.create_task(send()))
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        print('END', label, time.monotonic(), flush=True)
        for task in [*done, *pending]:
            task.cancel()
            with contextlib.suppress(OSError, asyncio.CancelledError, asyncio.TimeoutError):
                await task
        writer.close()

    server = await asyncio.start_server(serve, '127.0.0.1', 7000)
    print('READY', 'upstream', 0, flush=True)
    await server.serve_forever()


async def clients():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    async def talk(index, label):
        port = 8000 + list(SETTINGS).index(label.split()[0])
        reader, writer = await asyncio.open_connection(SERVER, port, ssl=context)
        writer.write(f'{label}\n'.encode())
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                if label.startswith('heartbeat'):
                    writer.write(b'!')

    await asyncio.gather(*(talk(index, label) for index, label in enumerate(LABELS)))
    # Who has been told of the end does not end the others.
    await asyncio.Event().wait()


# ---- The network ------------------------------------------------------------------------------------------------------------------

def run(*words, text=None):
    result = subprocess.run(words, input=text, text=True, capture_output=True)
    if result.returncode != 0:
        sys.exit(f'liveness.py: {" ".join(words)}: {result.stderr.strip()}')
    return result.stdout


class Lab:
    """client e0 ── switch ── e0 router e1 ── e0 server"""

    def __init__(self):
        self.prefix = f'baton-live-{os.getpid()}-'
        self.processes = []

    def __enter__(self):
        for role in ('client', 'switch', 'router', 'server'):
            run('ip', 'netns', 'add', self.prefix + role)
            self.ip(role, 'link', 'set', 'lo', 'up')
        self.ip('switch', 'link', 'add', 'bridge', 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0')
        self.ip('switch', 'link', 'set', 'bridge', 'up')
        for role in ('client', 'router'):
            self.cable(role, 'e0', 'switch', role)
            self.ip('switch', 'link', 'set', role, 'master', 'bridge')
        self.cable('router', 'e1', 'server', 'e0')
        for role, interface, address in [('client', 'e0', '198.51.100.2'), ('router', 'e0', '198.51.100.1'),
                                         ('router', 'e1', '192.0.2.1'), ('server', 'e0', SERVER)]:
            self.ip(role, 'addr', 'add', address + '/24', 'dev', interface)
        self.ip('client', 'route', 'add', 'default', 'via', '198.51.100.1')
        self.enter('router', 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.netfilter.nf_conntrack_tcp_loose=0')
        # Like most routers, this one forgets nothing halfway: what belongs to no connection that it knows does not pass.
        self.enter('router', 'nft', '-f', '-', text='''
            table ip nat {
                chain after { type nat hook postrouting priority srcnat; oifname "e1" masquerade; }
            }
            table ip filter {
                chain forward { type filter hook forward priority filter; ct state invalid drop; }
            }
        ''')
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                process.send_signal(signal.SIGCONT)
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for role in ('client', 'switch', 'router', 'server'):
            subprocess.run(['ip', 'netns', 'del', self.prefix + role], capture_output=True)

    def cable(self, role, interface, other, port):
        run('ip', 'link', 'add', interface, 'netns', self.prefix + role, 'type', 'veth', 'peer', 'name', port,
            'netns', self.prefix + other)
        self.ip(role, 'link', 'set', interface, 'up')
        self.ip(other, 'link', 'set', port, 'up')

    def ip(self, role, *words):
        run('ip', '-n', self.prefix + role, *words)

    def enter(self, role, *words, text=None):
        return run('ip', 'netns', 'exec', self.prefix + role, *words, text=text)

    def start(self, role, *words, **options):
        process = subprocess.Popen(['ip', 'netns', 'exec', self.prefix + role, *words], text=True, **options)
        self.processes.append(process)
        return process


# ---- What is cut ------------------------------------------------------------------------------------------------------------------

def kill(lab, client):
    client.kill()


def stop(lab, client):
    client.send_signal(signal.SIGSTOP)


def host_gone(lab, client):
    lab.ip('client', 'link', 'set', 'e0', 'down')


def host_restarted(lab, client):
    """Its end is told to nobody, and then it knows nothing of its connections."""
    lab.enter('client', 'nft', '-f', '-', text='''
        table ip boot {
            chain out { type filter hook output priority filter; tcp flags fin drop; tcp flags rst drop; }
        }
    ''')
    client.kill()
    client.wait()
    # Sockets that are closing answer still; the kernel of a machine that has started anew has none.
    for _ in range(100):
        if not lab.enter('client', 'ss', '-HtaK', 'dst', SERVER):
            break
    else:
        sys.exit('liveness.py: this kernel does not destroy sockets (CONFIG_INET_DIAG_DESTROY)')
    lab.enter('client', 'nft', 'delete', 'table', 'ip', 'boot')


def cable_cut(lab, client):
    lab.ip('router', 'link', 'set', 'e1', 'down')


def firewall(lab, client):
    lab.enter('router', 'nft', 'insert', 'rule', 'ip', 'filter', 'forward', 'drop')


def nat_forgets(lab, client):
    lab.enter('router', 'conntrack', '-F')


FAILURES = [
    ('the process is killed', kill),
    ('the peer hangs, its kernel lives', stop),
    ('the host is gone', host_gone),
    ('the host has restarted', host_restarted),
    ('the cable at the server is cut', cable_cut),
    ('a firewall drops silently', firewall),
    ('the router has forgotten its NAT table', nat_forgets),
]


# ---- Measuring --------------------------------------------------------------------------------------------------------------------

def configuration(folder):
    lines = [f'control: {folder}/control', 'workers: 1', 'shutdown-time: 1s', 'listeners:']
    for index, (name, settings) in enumerate(SETTINGS.items()):
        lines += [f'  {name}:', f'    address: {SERVER}:{8000 + index}']
        lines += [f'    {key}: {value}' for key, value in settings.items()]
    lines += ['routes: { all: { target: app } }', 'upstreams: { app: { addresses: "127.0.0.1:7000" } }']
    path = f'{folder}/baton.yaml'
    with open(path, 'w') as file:
        file.write('\n'.join(lines) + '\n')
    return path


class Lines:
    """The upstream's lines, as (word, label, time)."""

    def __init__(self, process):
        self.process, self.rest = process, b''
        self.descriptor = process.stdout.fileno()
        os.set_blocking(self.descriptor, False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.descriptor, selectors.EVENT_READ)

    def until(self, deadline):
        """The lines that come until then."""
        while True:
            while b'\n' in self.rest:
                line, _, self.rest = self.rest.partition(b'\n')
                word, *label, moment = line.decode().split()
                yield word, ' '.join(label), float(moment)
            left = deadline - time.monotonic()
            if left <= 0 or not self.selector.select(left):
                return
            more = os.read(self.descriptor, 65536)
            if not more:
                sys.exit('liveness.py: the upstream has ended')
            self.rest += more


def measure(baton, cut, limit, count):
    """Seconds from the cut to the end, by label; one is missing if the end did not come."""
    me = [sys.executable, os.path.abspath(__file__)]
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        lines = Lines(lab.start('server', *me, '--upstream', stdout=subprocess.PIPE))
        if next(lines.until(time.monotonic() + 30), None) is None:
            sys.exit('liveness.py: the upstream does not start')
        log = open(f'{folder}/log', 'w+')
        server = lab.start('server', baton, 'serve', '--config', configuration(folder), stdout=log,
                           stderr=log)
        while '] serving' not in open(log.name).read():
            if server.poll() is not None:
                sys.exit(f'liveness.py: {open(log.name).read()}')
            time.sleep(0.05)
        client = lab.start('client', *me, '--clients')
        begun = set()
        for word, label, _ in lines.until(time.monotonic() + 30):
            begun.add(label) if word == 'BEGIN' else sys.exit(f'liveness.py: {label} ended before anything was cut')
            if len(begun) == len(LABELS):
                break
        if len(begun) < len(LABELS):
            sys.exit(f'liveness.py: only {len(begun)} of {len(LABELS)} connections began: {open(log.name).read()}')
        # What has been said is acknowledged by then, so that nothing is on the way between those who say nothing more.
        time.sleep(SETTLED)
        beginning = time.monotonic()
        print('cut', file=sys.stderr)
        cut(lab, client)
        ended = {}
        for word, label, moment in lines.until(beginning + limit):
            if word == 'END':
                ended[label] = moment - beginning
                print(f'{label}: {ended[label]:.1f} s', file=sys.stderr)
            if len(ended) == count:
                break
        return ended


def table(results):
    def cell(ended, setting):
        values = [ended.get(label) for label in LABELS if label.split()[0] == setting]
        return ' / '.join('–' if value is None else f'{value:.1f}' for value in values)

    names = list(SETTINGS)
    yield '| | ' + ' | '.join(names) + ' |'
    yield '|---' * (len(names) + 1) + '|'
    for what, ended in results:
        yield f'| {what} | ' + ' | '.join(cell(ended, name) for name in names) + ' |'


def main(words):
    # What this is started by may block signals, and what it starts would inherit that.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if words in (['--upstream'], ['--clients']):
        return asyncio.run(upstream() if words == ['--upstream'] else clients())
    if not 1 <= len(words) <= 4 or not os.access(words[0], os.X_OK):
        sys.exit('usage: liveness.py BATON [SECONDS [FAILURE [COUNT]]]      where BATON is the program')
    if os.geteuid() != 0:
        sys.exit('liveness.py: network namespaces need root')
    for tool in ('ip', 'nft', 'conntrack', 'ss', 'sysctl'):
        if not shutil.which(tool):
            sys.exit(f'liveness.py: {tool} is missing: apt-get install iproute2 nftables conntrack procps')
    try:
        limit = float(words[1]) if len(words) > 1 else 30
        count = int(words[3]) if len(words) > 3 else len(LABELS)
    except ValueError:
        sys.exit('liveness.py: SECONDS and COUNT are numbers')
    failures = [failure for failure in FAILURES if len(words) < 3 or failure[0] == words[2]]
    if not failures:
        sys.exit(f'liveness.py: FAILURE is one of: {"; ".join(what for what, _ in FAILURES)}')
    results = []
    for what, cut in failures:
        results.append((what, measure(os.path.abspath(words[0]), cut, limit, count)))
        print(f'{what}: {len(results[-1][1])} of {len(LABELS)} noticed', file=sys.stderr)
    print(f'seconds from the cut to the end of an idle connection / one that the server sends on; –: not within {limit:g}')
    print(f'the cut came {SETTLED} s after the last byte of the idle ones\n')
    print('\n'.join(table(results)))


main(sys.argv[1:])
