import Foundation
import StockPeers
import Testing

/// A sender of the example, and receivers in Python that know nothing but its README.
struct FountainPeers {
    let files = try! TemporaryFiles()

    /// Starts a sender, or its successor.
    func start(_ file: String, rate: Int = 2_000_000) throws -> PeerProcess {
        try PeerProcess(
            ["stdbuf", "-oL", try BuiltProgram.path("Fountain"), "--file", files.path(file)]
                + ["--control", files.path("control"), "--rate", "\(rate)"])
    }

    /// Replaces the sender by another process; the old one has ended when this returns.
    func deploy(_ file: String, replacing old: PeerProcess, sessions: Int) throws -> PeerProcess {
        let new = try start(file)
        try new.expect("goes on at port")
        try new.expect("with \(sessions) sessions")
        try old.expect("has handed on \(sessions) sessions and ends")
        try old.expect(nil)
        #expect(old.status == 0)
        return new
    }

    /// Writes bytes that a seed gives, and their SHA-256.
    func write(_ name: String, count: Int, seed: Int) throws -> String {
        let maker = try PeerProcess(["python3", "-c", Self.making, files.path(name), "\(count)", "\(seed)"])
        try maker.expect(nil)
        return maker.text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A receiver that throws so many of a hundred datagrams away, of both directions. It pauses so often in the midst of it, each
    /// time until a line of its input, and says `DONE` with the digest, and how many packets came twice.
    func receiver(_ port: Int, lossPercent: Int, seed: Int, pauses: Int) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", Self.receiving, "\(port)", "\(lossPercent)", "\(seed)", "\(pauses)"])
    }

    /// Asks, and says nothing more, or one report more. It tells at each line of its input what has come.
    func silent(_ port: Int, isConfirming: Bool) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", Self.silence, "\(port)", isConfirming ? "confirm" : "ask"])
    }

    /// Asks with so many session numbers, one after the other, and has an offer for each when it says `ASKED`. If it confirms, it
    /// says `SERVED` when so many of its sessions have got a packet, and is heard of until its end.
    func crowd(_ port: Int, count: Int, served: Int) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", Self.crowding, "\(port)", "\(count)", "\(served)"])
    }

    private static let crowding = """
        import select, socket, struct, sys
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.connect(('127.0.0.1', int(sys.argv[1])))
        count, wanted = int(sys.argv[2]), int(sys.argv[3])
        served, cookies = set(), {}
        def say(kind, number, rest): u.send(b'FTN1' + struct.pack('>BQ', kind, number) + rest)
        def hear():
            if not select.select([u], [], [], 0.2)[0]: return False
            datagram = u.recv(2048)
            kind, number = struct.unpack('>BQ', datagram[4:13])
            if kind == 2: cookies[number] = datagram[13:21]
            if kind == 3: served.add(number)
            return True
        for number in range(count):
            while number not in cookies:
                say(1, number, bytes(51))
                while hear() and number not in cookies: pass
            if wanted: say(4, number, cookies[number] + bytes(20))
        print('ASKED', flush=True)
        while len(served) < wanted:
            if not hear():
                for number in cookies: say(4, number, cookies[number] + bytes(20))
        print('SERVED', flush=True)
        while not select.select([sys.stdin], [], [], 1)[0] and wanted:
            for number in served: say(4, number, cookies[number] + bytes(20))
        """

    private static let making = """
        import hashlib, random, sys
        content = random.Random(int(sys.argv[3])).randbytes(int(sys.argv[2]))
        open(sys.argv[1], 'wb').write(content)
        print(hashlib.sha256(content).hexdigest())
        """

    private static let receiving = """
        import hashlib, random, select, socket, struct, sys, time
        chance = random.Random(int(sys.argv[3]))
        loss, pauses = int(sys.argv[2]) / 100, int(sys.argv[4])
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.connect(('127.0.0.1', int(sys.argv[1])))
        session = random.SystemRandom().getrandbits(64)
        def say(kind, rest):
            if chance.random() >= loss: u.send(b'FTN1' + struct.pack('>BQ', kind, session) + rest)
        def hear(seconds):
            if not select.select([u], [], [], seconds)[0]: return None
            datagram = u.recv(2048)
            if chance.random() < loss: return None
            head, kind, number = struct.unpack('>4sBQ', datagram[:13])
            return (kind, datagram[13:]) if head == b'FTN1' and number == session else None
        M = (1 << 64) - 1
        def mix(x):
            z = (x + 0x9e3779b97f4a7c15) & M
            z = ((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9) & M
            z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & M
            return z ^ (z >> 31)
        def coefficients(g, s, k):
            return 1 << s if s < k else mix((g << 32) + s) % (1 << k) or 1
        requests, answer = 0, None
        while not answer or answer[0] != 2:
            requests += 1
            say(1, bytes(51))
            answer = hear(0.2)
        cookie, length, size, most = struct.unpack('>QQHH', answer[1])
        symbols = -(-length // size)
        count = -(-symbols // most)
        ks = [min(most, symbols - g * most) for g in range(count)]
        rows, decoded = [{} for _ in range(count)], {}
        highest = received = twice = paused = 0
        seen = set()
        def report():
            base = next((g for g in range(count) if g not in decoded), count)
            bits = sum(1 << i for i in range(64) if base + 1 + i in decoded)
            say(4, struct.pack('>QIIIQ', cookie, highest, received, base, bits))
        def decode(g):
            pivots = rows[g]
            for p in sorted(pivots):
                c, v = pivots[p]
                for q in range(p):
                    if c >> q & 1:
                        c, v = c ^ pivots[q][0], v ^ pivots[q][1]
                pivots[p] = (c, v)
            decoded[g] = b''.join(pivots[p][1].to_bytes(size, 'big') for p in range(ks[g]))
        report()
        heard = time.monotonic()
        while len(decoded) < count:
            message = hear(0.05)
            if message is None:
                if time.monotonic() - heard > 0.05: report()
                continue
            heard = time.monotonic()
            kind, rest = message
            if kind != 3: continue
            number, g, s = struct.unpack('>III', rest[:12])
            twice += (g, s) in seen
            seen.add((g, s))
            highest, received = max(highest, number), received + 1
            if g not in decoded:
                c, v = coefficients(g, s, ks[g]), int.from_bytes(rest[12:], 'big')
                while c and c.bit_length() - 1 in rows[g]:
                    other = rows[g][c.bit_length() - 1]
                    c, v = c ^ other[0], v ^ other[1]
                if c: rows[g][c.bit_length() - 1] = (c, v)
                if len(rows[g]) == ks[g]:
                    decode(g)
                    report()
                    while paused < pauses and len(decoded) * (pauses + 1) >= count * (paused + 1):
                        paused += 1
                        print('PART', paused, flush=True)
                        # It is there, and wants nothing new.
                        while not select.select([sys.stdin], [], [], 1)[0]: report()
                        sys.stdin.readline()
                        report()
            if received % 8 == 0: report()
        loss = 0
        for _ in range(3): say(5, struct.pack('>Q', cookie))
        content = b''.join(decoded[g] for g in range(count))[:length]
        print('DONE', hashlib.sha256(content).hexdigest(), 'TWICE', twice, flush=True)
        print('RECEIVED', received, 'OF', symbols, 'REQUESTS', requests, flush=True)
        """

    private static let silence = """
        import socket, struct, sys, time
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.connect(('127.0.0.1', int(sys.argv[1])))
        u.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        u.send(b'FTN1' + struct.pack('>BQ', 1, 7) + bytes(51))
        answer = u.recv(2048)
        cookie = answer[13:21]
        begin = time.monotonic()
        if sys.argv[2] == 'confirm': u.send(b'FTN1' + struct.pack('>BQ', 4, 7) + cookie + bytes(20))
        print('ASKED', flush=True)
        u.setblocking(False)
        count = len(answer)
        packets = 0
        for line in sys.stdin:
            try:
                while True:
                    count += len(u.recv(2048))
                    packets += 1
            except BlockingIOError: pass
            print('BYTES', count, 'PACKETS', packets, 'TENTHS', int(10 * (time.monotonic() - begin)), flush=True)
        """
}
