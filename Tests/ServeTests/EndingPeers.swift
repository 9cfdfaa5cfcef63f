import StockPeers

/// A client and its upstream in one program, plain or with TLS whose records are in its hands, so that it can end a
/// connection in every way there is.
final class EndingPeers {
    /// How a side ends its connection, behind what it has said.
    enum End: String, CaseIterable {
        /// close_notify, or a plain connection's FIN.
        case order
        /// A FIN without close_notify.
        case fin
        /// A FIN in the midst of a record.
        case half
        case rst
        /// A record that does not authenticate. The connection stays open.
        case mac
        /// A fatal alert. The connection stays open.
        case alert

        /// Whether a connection without TLS can end like this.
        var isPlain: Bool { self == .order || self == .rst }
    }

    enum Side: String, CaseIterable {
        case client, upstream
    }

    private let process: PeerProcess
    /// Where the upstream listens.
    let upstreamPort: Int

    /// - Parameters:
    ///   - client: the client's version of TLS, `TLSv1_2` or `TLSv1_3`; `nil`: plain.
    ///   - upstream: the same of the upstream.
    init(client: String?, upstream: String?, in files: TemporaryFiles) throws {
        let (certificate, key, _) = try Credentials.shared.write("p256", in: files)
        process = try PeerProcess(
            ["python3", "-c", Self.text, client ?? "plain", upstream ?? "plain", certificate, key])
        upstreamPort = try process.number(behind: "PORT ")
    }

    /// Tells where the server listens.
    func use(port: Int) throws { try process.send("\(port)\n") }

    /// Has `speaker` say something and end its side, and returns what the other heard, and how it ended.
    func end(_ end: End, by speaker: Side) throws -> String { try run("end \(speaker) \(end)") }

    /// As `end`, in order; then the other answers, and the answer is what is returned.
    func answer(to speaker: Side) throws -> String { try run("answer \(speaker) order") }

    /// The client says all and ends its side before it waits for anything: together with its Finished, where there is TLS.
    ///
    /// - Parameters:
    ///   - preface: what comes before TLS.
    ///   - byServer: whether the server answers by itself.
    /// - Returns: what the upstream heard, and the answer; of a server that answers by itself the answer's text, with `|` for
    ///   line ends.
    func atOnce(_ request: String, preface: String = "", byServer: Bool = false) throws -> String {
        try run("\(byServer ? "page" : "once") \(request.hexadecimal) \(preface.hexadecimal)")
    }

    /// The upstream says all and ends its side as soon as it has accepted, and the client only listens.
    func banner() throws -> String { try run("banner upstream order") }

    /// Both sides have spoken, and are silent. Returns how the client's connection ends, and how the upstream's.
    func idle() throws -> String { try run("idle both order") }

    /// The client connects to a server whose upstream does not answer. Returns how its connection ends.
    func unanswered() throws -> String { try run("alone client order") }

    /// Opens a connection that `finish` ends.
    func begin() throws { _ = try run("begin both order") }

    /// How the connection of `begin` ends for both.
    func finish() throws -> String { try run("finish both order") }

    private var rounds = 0

    private func run(_ command: String) throws -> String {
        rounds += 1
        try process.send("\(rounds) \(command)\n")
        try process.expect("\nEND \(rounds)\n")
        let lines = process.text.split(separator: "\n")
        return lines.first { $0.hasPrefix("\(rounds): ") }.map { String($0.dropFirst("\(rounds): ".count)) } ?? ""
    }

    private static let text = """
        import fcntl, os, socket, ssl, struct, sys, termios, traceback
        listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', listener.getsockname()[1], flush=True)
        port = int(sys.stdin.readline())
        data = os.urandom(300000)
        def context(version, protocol):
            if version == 'plain': return None
            made = ssl.SSLContext(protocol)
            made.minimum_version = made.maximum_version = getattr(ssl.TLSVersion, version)
            if protocol == ssl.PROTOCOL_TLS_SERVER:
                made.load_cert_chain(sys.argv[3], sys.argv[4])
            else:
                made.check_hostname = False
                made.verify_mode = ssl.CERT_NONE
            return made
        client_context = context(sys.argv[1], ssl.PROTOCOL_TLS_CLIENT)
        server_context = context(sys.argv[2], ssl.PROTOCOL_TLS_SERVER)
        class Leg:
            def __init__(self, s, context, server=False, last=None):
                s.settimeout(30)
                self.s, self.tls = s, None
                if not context: return
                self.inbox, self.outbox = ssl.MemoryBIO(), ssl.MemoryBIO()
                self.tls = context.wrap_bio(self.inbox, self.outbox, server_side=server)
                while True:
                    try:
                        self.tls.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        self.push()
                        self.inbox.write(s.recv(65536) or sys.exit('closed in the handshake'))
                if last is None: self.push()
            def push(self):
                waiting = self.outbox.read()
                if waiting: self.s.sendall(waiting)
            def say(self, words):
                if not self.tls: return self.s.sendall(words)
                self.tls.write(words)
                self.push()
            def record(self, words):
                self.tls.write(words)
                return self.outbox.read()
            def shut(self):
                if not self.tls: return
                try: self.tls.unwrap()
                except (ssl.SSLWantReadError, ssl.SSLError): pass
            def end(self, how):
                if how == 'order':
                    if not self.tls: return self.s.shutdown(socket.SHUT_WR)
                    self.shut()
                    self.push()
                elif how == 'fin':
                    self.s.shutdown(socket.SHUT_WR)
                elif how == 'half':
                    self.s.sendall(self.record(bytes(1000))[:-7])
                    self.s.shutdown(socket.SHUT_WR)
                elif how == 'rst':
                    # What has not arrived is taken back by a reset.
                    while struct.unpack('i', fcntl.ioctl(self.s, termios.TIOCOUTQ, b'0000'))[0]: pass
                    self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                    self.s.close()
                elif how == 'mac':
                    forged = bytearray(self.record(bytes(1000)))
                    forged[-1] ^= 1
                    self.s.sendall(forged)
                elif how == 'alert':
                    # What it cannot open makes it send a fatal alert.
                    self.inbox.write(b'\\x17\\x03\\x03\\x00\\x40' + bytes(64))
                    try: self.tls.read(1)
                    except ssl.SSLWantReadError: sys.exit('no alert')
                    except ssl.SSLError: pass
                    self.push()
            def hear(self, most=None):
                heard = b''
                while most is None or len(heard) < most:
                    try:
                        if self.tls:
                            try:
                                piece = self.tls.read(65536)
                                if not piece: return heard, 'close_notify'
                                heard += piece
                                continue
                            except ssl.SSLZeroReturnError: return heard, 'close_notify'
                            except ssl.SSLWantReadError: pass
                            except ssl.SSLError as error: return heard, str(error.reason)
                        piece = self.s.recv(65536)
                    except ConnectionResetError: return heard, 'RST'
                    except TimeoutError: return heard, 'nothing'
                    if not piece: return heard, 'cut off' if self.tls else 'FIN'
                    if self.tls: self.inbox.write(piece)
                    else: heard += piece
                return heard, 'more'
        def whole(heard, wanted):
            return 'WHOLE' if heard == wanted else f'{len(heard)} of {len(wanted)} bytes'
        def connect():
            return Leg(socket.create_connection(('127.0.0.1', port)), client_context)
        def accept():
            listener.settimeout(30)
            return Leg(listener.accept()[0], server_context, True)
        def pair():
            client = connect()
            client.say(b'ping')
            upstream = accept()
            if upstream.hear(4)[0] != b'ping': sys.exit('no ping')
            upstream.say(b'pong')
            if client.hear(4)[0] != b'pong': sys.exit('no pong')
            return client, upstream
        def end(speaker, how):
            client, upstream = pair()
            one, other = (client, upstream) if speaker == 'client' else (upstream, client)
            one.say(data)
            one.end(how)
            heard, ending = other.hear()
            return one, other, whole(heard, data) + ' ' + ending
        kept = None
        for line in sys.stdin:
            number, verb, speaker, how = (line.rstrip('\\n').split(' ') + [''])[:4]
            try:
                if verb == 'end':
                    result = end(speaker, how)[2]
                elif verb == 'answer':
                    one, other, result = end(speaker, how)
                    other.say(data[::-1] * 10)
                    other.end('order')
                    heard, ending = one.hear()
                    result += ', ' + whole(heard, data[::-1] * 10) + ' ' + ending
                elif verb in ('once', 'page'):
                    request, preface = bytes.fromhex(speaker), bytes.fromhex(how)
                    s = socket.create_connection(('127.0.0.1', port))
                    if client_context:
                        s.sendall(preface)
                        client = Leg(s, client_context, last=request)
                        client.tls.write(request)
                        client.shut()
                        s.sendall(client.outbox.read())
                    else:
                        client = Leg(s, None)
                        s.sendall(preface + request)
                    s.shutdown(socket.SHUT_WR)
                    if verb == 'once':
                        upstream = accept()
                        heard, ending = upstream.hear()
                        upstream.say(b'answered ' + heard[:10])
                        upstream.end('order')
                        heard, ending = whole(heard, request), ending + ', '
                        answer, last = client.hear()
                        result = heard + ' ' + ending + whole(answer, b'answered ' + request[:10]) + ' ' + last
                    else:
                        answer, last = client.hear()
                        result = answer.decode(errors='replace').replace('\\r\\n', '|').replace('\\n', '|') + ' ' + last
                elif verb == 'banner':
                    client = connect()
                    client.end('order')
                    upstream = accept()
                    upstream.say(data)
                    upstream.end('order')
                    if upstream.tls: upstream.s.shutdown(socket.SHUT_WR)
                    heard, ending = client.hear()
                    result = whole(heard, data) + ' ' + ending
                elif verb == 'idle':
                    client, upstream = pair()
                    result = client.hear()[1] + ', ' + upstream.hear()[1]
                elif verb == 'alone':
                    client = connect()
                    client.say(b'ping')
                    result = client.hear()[1]
                elif verb == 'begin':
                    kept, result = pair(), 'begun'
                elif verb == 'finish':
                    result = kept[0].hear()[1] + ', ' + kept[1].hear()[1]
            except Exception:
                result = traceback.format_exc().replace('\\n', '|')
            print(f'\\n{number}: {result}\\nEND {number}', flush=True)
        """
}

extension String {
    fileprivate var hexadecimal: String {
        utf8.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
    }
}
