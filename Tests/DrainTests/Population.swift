import HostLab
import StockPeers

/// Connections that exchange random pieces with an echo all the time, and of which it can be asked at any moment which are
/// alive. TLS 1.3, TLS 1.2 and plain, IPv4 and IPv6 in turn.
final class Population {
    let count: Int
    private let process: PeerProcess
    private var orders = 0

    /// Connects them.
    init(_ count: Int, addresses: [String]? = nil) throws {
        self.count = count
        let addresses = addresses ?? ["192.0.2.100", "2001:db8::100"]
        process = try PeerProcess(
            Host.inside(.client) + [
                "python3", "-c", Clients.connectText + Self.text, "\(count)", addresses.joined(separator: ","),
            ])
        try process.expect("READY\n")
    }

    /// How many have had every byte of a piece back that was sent after the question. One that is dead is told so by its
    /// peer's kernel, for it asks by TCP keep-alive.
    func alive() throws -> Int {
        try order("check")
        return try process.number(behind: "ALIVE \(orders) ")
    }

    /// Connects anew what is dead, and one more that exchanges a word and goes.
    func renew() throws {
        try order("renew")
        try process.expect("RENEWED \(orders)\n")
    }

    private func order(_ word: String) throws {
        orders += 1
        try process.send("\(word)\n")
    }

    private static let text = """
        count, addresses = int(sys.argv[1]), sys.argv[2].split(',')
        news, question, number = threading.Condition(), 0, 0
        def alert(s):
            for name, value in (('IDLE', 1), ('INTVL', 1), ('CNT', 100)):
                s.setsockopt(socket.IPPROTO_TCP, getattr(socket, 'TCP_KEEP' + name), value)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return s
        def exchange(s, piece):
            s.sendall(piece)
            back = b''
            while len(back) < len(piece):
                part = s.recv(65536)
                if not part: raise EOFError('closed')
                back += part
            if back != piece: raise ValueError('other bytes')
        class Client(threading.Thread):
            def __init__(self, index):
                super().__init__(daemon=True)
                self.index, self.answered, self.error = index, -1, None
                self.start()
            def run(self):
                try:
                    kind = ['tls13', 'tls12', 'plain'][self.index // len(addresses) % 3]
                    s = alert(connect(addresses[self.index % len(addresses)], kind))
                    while True:
                        asked = question
                        exchange(s, os.urandom(1 + os.urandom(1)[0] * 17))
                        with news:
                            self.answered = asked
                            news.notify_all()
                            # What so many can do without keeping both processors from the servers.
                            news.wait_for(lambda: question > asked, 0.005)
                except Exception as error:
                    with news:
                        self.error = repr(error)
                        news.notify_all()
        def ask():
            global question
            with news:
                question += 1
                news.wait_for(lambda: all(c.error or c.answered >= question for c in clients))
        clients = [Client(index) for index in range(count)]
        ask()
        print(*[c.error for c in clients if c.error])
        print('READY' if not any(c.error for c in clients) else 'NOT READY', flush=True)
        for line in sys.stdin:
            number += 1
            if line == 'check\\n':
                ask()
                errors = [c.error for c in clients if c.error]
                print('ALIVE', number, count - len(errors), *errors, flush=True)
            else:
                clients = [Client(c.index) if c.error else c for c in clients]
                ask()
                with connect(addresses[number % len(addresses)], 'tls13') as s: exchange(s, b'word')
                errors = [c.error for c in clients if c.error]
                print('NOT RENEWED' if errors else 'RENEWED', number, *errors, flush=True)
        """
}
