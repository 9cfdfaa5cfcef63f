import HostLab
import StockPeers

/// A relay at a host, between it and the host that its connections go to: passes the pieces of the link on, both ways, and
/// can cut it behind any of them so that both ends hear of it at once.
final class LinkProxy {
    /// Where the host is to be told that its peer is.
    static func address(at role: Lab.Role) -> String { "\(Host.link(role)):9441" }

    private let process: PeerProcess
    private var orders = 0

    init(at role: Lab.Role) throws {
        process = try PeerProcess(
            Host.inside(role) + ["python3", "-c", Self.text, Host.link(role), Host.link(role == .a ? .b : .a)])
        try process.expect("LISTENING")
    }

    /// From now on a link ends, by a reset of both sides, when so many pieces have passed, and of the next one half.
    func cut(after pieces: Int, half: Bool) throws { try order("cut \(pieces) \(half ? 1 : 0)") }

    /// From now on a link is held up when so many pieces have passed, until `free`.
    func hold(after pieces: Int) throws { try order("hold \(pieces) 0") }

    /// Waits until a link is held up.
    func awaitHold() throws { try process.expect("HOLDING \(orders)\n") }

    /// Links pass whole again.
    func free() throws { try order("free 0 0") }

    /// The pieces of the link that has passed whole since the last order: `>` and how many bytes went to the peer, `<` and how
    /// many came.
    func pieces() throws -> [String] {
        let marker = "PASSED \(orders):"
        try process.expect(marker)
        try process.expect(" end\n")
        let rest = process.text.split(separator: marker, maxSplits: 1).last ?? ""
        return rest.prefix { $0 != "\n" }.split(separator: " ").dropLast().map(String.init)
    }

    private func order(_ words: String) throws {
        orders += 1
        try process.send("\(words)\n")
        try process.expect("DONE \(orders)\n")
    }

    private static let text = """
        import fcntl, select, socket, struct, sys, termios, threading
        # In one piece: several threads say something.
        def say(words): print(words + '\\n', end='', flush=True)
        def server(host):
            family = socket.AF_INET6 if ':' in host else socket.AF_INET
            return socket.create_server((host, 9441), family=family)
        listener, peer = server(sys.argv[1]), (sys.argv[2], 9440)
        news, order = threading.Condition(), ('free', 0, 0)
        number = 0
        def reset(s):
            # What has been passed is to arrive before the reset.
            while struct.unpack('i', fcntl.ioctl(s, termios.TIOCOUTQ, b'0000'))[0]: select.select([], [], [], 0.001)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            s.close()
        def serve(near):
            far = socket.create_connection(peer)
            for s in (near, far): s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            passed = []
            try:
                while True:
                    for s in select.select([near, far], [], [])[0]:
                        other = far if s is near else near
                        piece = s.recv(1 << 20)
                        if not piece:
                            say(' '.join(['PASSED %d:' % number, *passed, 'end']))
                            return
                        what, limit, half = order
                        if what != 'free' and len(passed) >= limit:
                            if what == 'cut':
                                if half: other.sendall(piece[:len(piece) // 2])
                                reset(other)
                                reset(s)
                                return
                            say('HOLDING %d' % number)
                            with news: news.wait_for(lambda: order[0] == 'free')
                        other.sendall(piece)
                        passed.append('<>'[s is near] + str(len(piece)))
            except OSError: pass
            finally:
                near.close()
                far.close()
        def accept():
            while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        say('LISTENING')
        for line in sys.stdin:
            words = line.split()
            with news:
                order = (words[0], int(words[1]), int(words[2]))
                number += 1
                news.notify_all()
            say('DONE %d' % number)
        """
}
