import StockPeers

/// Many connections without TLS through a server to an echo of its own, all in one process. They say something when they are
/// asked to.
final class RelayCrowd {
    private let process: PeerProcess
    private let count: Int
    private var checks = 0
    /// The echo's.
    let upstreamPort: Int

    /// Flags of a server with a listener without TLS in front of it.
    var flags: [String] {
        [
            "--upstream", "127.0.0.1:\(upstreamPort)", "--listeners.default.tls", "false",
            "--limits.connections", "\(count + 100)",
        ]
    }

    init(count: Int) throws {
        self.count = count
        process = try PeerProcess(["python3", "-c", Self.text, "\(count)"])
        upstreamPort = try process.number(behind: "UPSTREAM ")
    }

    /// Connects all and waits until each has exchanged something.
    func connect(port: Int) throws {
        try process.send("connect \(port)\n")
        try process.expect("CONNECTED \(count) of \(count)\n")
    }

    /// Sends something of its own through each, and waits until all live ones have it back.
    ///
    /// - Returns: how many live. The others have been reset, or have ended.
    @discardableResult
    func check() throws -> Int {
        checks += 1
        try process.send("check \(checks)\n")
        return try process.number(behind: "ROUND \(checks) LIVE ")
    }

    /// Waits until so many have been reset, or have ended.
    func expectLost(_ count: Int) throws {
        try process.send("lost \(count)\n")
        try process.expect("LOST \(count)\n")
    }

    /// How many have had a reset, and not an end in order.
    func resets() throws -> Int {
        checks += 1
        try process.send("resets \(checks)\n")
        return try process.number(behind: "ASKED \(checks) RESETS ")
    }

    /// Ends all that live.
    func end() throws {
        try process.endInput()
        try process.expect("ENDED")
    }

    private static let text = """
        import resource, selectors, socket, sys, threading
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        count = int(sys.argv[1])
        listener = socket.create_server(('127.0.0.1', 0), backlog=4096)
        print('UPSTREAM', listener.getsockname()[1], flush=True)
        def echo():
            watched = selectors.EpollSelector()
            watched.register(listener, selectors.EVENT_READ)
            while True:
                for key, _ in watched.select():
                    if key.fileobj is listener:
                        s, _ = listener.accept()
                        watched.register(s, selectors.EVENT_READ)
                        continue
                    try: data = key.fileobj.recv(65536)
                    except OSError: data = b''
                    if data:
                        try: key.fileobj.sendall(data)
                        except OSError: pass
                    else:
                        watched.unregister(key.fileobj)
                        key.fileobj.close()
        threading.Thread(target=echo, daemon=True).start()
        watched = selectors.EpollSelector()
        live, resets = {}, 0
        def lose(s, is_reset):
            global resets
            resets += is_reset
            watched.unregister(s)
            del live[s]
            s.close()
        def look(wait, wanted={}):
            for key, _ in watched.select(wait):
                s = key.fileobj
                try: data = s.recv(65536)
                except OSError:
                    lose(s, True)
                    continue
                if not data:
                    lose(s, False)
                    continue
                live[s] += data
                if wanted.get(s) == live[s]: del wanted[s]
        def exchange(sockets, round):
            wanted = {}
            for number, s in enumerate(sockets):
                line = b'%d in round %d\\n' % (number, round)
                live[s], wanted[s] = b'', line
                try: s.sendall(line)
                except OSError: pass
            while any(s in live for s in wanted): look(60, wanted)
        print('READY', flush=True)
        for line in sys.stdin:
            words = line.split()
            number = int(words[1])
            if words[0] == 'connect':
                for first in range(0, count, 50):
                    some = []
                    for _ in range(first, min(first + 50, count)):
                        s = socket.create_connection(('127.0.0.1', number), timeout=60)
                        live[s] = b''
                        watched.register(s, selectors.EVENT_READ)
                        some.append(s)
                    exchange(some, 0)
                print(f'CONNECTED {len(live)} of {count}', flush=True)
            elif words[0] == 'check':
                exchange(list(live), number)
                print(f'ROUND {number} LIVE {len(live)}', flush=True)
            elif words[0] == 'lost':
                while count - len(live) < number: look(60)
                print(f'LOST {count - len(live)}', flush=True)
            else:
                print(f'ASKED {number} RESETS {resets}', flush=True)
        for s in list(live): s.close()
        print('ENDED', flush=True)
        """
}
