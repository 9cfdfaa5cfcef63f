import Foundation
import StockPeers
import Testing

@Suite("Clients of workers in other languages: many, and bad ones", .timeLimit(.minutes(10)))
struct LanguageWorkerClientTests {
    private let files: TemporaryFiles
    private let server: WorkerServer

    init() throws {
        files = try TemporaryFiles()
        server = try WorkerServer(programAt: files.path("blue"), in: files)
    }

    /// Python's client, which speaks TLS by OpenSSL.
    private func client(_ text: String) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", Self.common + text, "\(server.port)"])
    }

    // 600 connections and 200 duplicates go into 1,024, and do not go into 700.
    @Test(
        "600 connections go on to another worker, under a limit for descriptors",
        arguments: WorkerLanguage.allCases, [1_024, 700])
    func crowd(language: WorkerLanguage, descriptors: Int) throws {
        let (blue, green) = (files.path("blue"), files.path("green"))
        let first = try language.start(at: blue, other: green, descriptors: descriptors, in: files)
        let second = try language.start(at: green, other: blue, descriptors: descriptors, in: files)
        let clients = try client(Self.crowd)
        try clients.expect("600 ANSWERED BY {\(first.processID)}\n")
        kill(first.processID, SIGTERM)
        try first.expect("process \(first.processID) has handed on 600 connections\n")
        try first.expect(nil)
        #expect(first.status == 0)
        try clients.send("\n")
        try clients.expect("600 ANSWERED BY {\(second.processID)}\n")
        try clients.expect(nil)
    }

    @Test(
        "a path that is not ASCII comes back as it was, and the next answer is in its place",
        arguments: WorkerLanguage.allCases)
    func otherPaths(language: WorkerLanguage) throws {
        let worker = try language.start(at: files.path("blue"), other: files.path("green"), in: files)
        let client = try client(Self.otherPath)
        try client.expect("200 process \(worker.processID) answers /program/été, request 2 it saw here\n")
        try client.expect("200 process \(worker.processID) answers /program/next, request 3 it saw here\n")
    }

    @Test(
        "who sends much and reads nothing is not read for ever, and then gets every answer",
        arguments: WorkerLanguage.allCases)
    func doesNotRead(language: WorkerLanguage) throws {
        let worker = try language.start(at: files.path("blue"), other: files.path("green"), in: files)
        let deaf = try client(Self.deaf)
        try deaf.expect("FULL\n")
        let other = try client(Self.otherPath)
        try other.expect("answers /program/next, request 3")
        try deaf.send("\n")
        try deaf.expect("ALL ANSWERED\n")
        #expect(worker.isRunning)
    }

    @Test("one client that sends as fast as it can does not keep others waiting", arguments: WorkerLanguage.allCases)
    func flood(language: WorkerLanguage) throws {
        let worker = try language.start(at: files.path("blue"), other: files.path("green"), in: files)
        let flood = try client(Self.flood)
        try flood.expect("BEGUN\n")
        for _ in 0..<5 {
            let other = try client(Self.otherPath)
            try other.expect("answers /program/next, request 3")
            try other.expect(nil)
        }
        try flood.send("\n")
        try flood.expect("END\n")
        #expect(worker.isRunning)
    }

    @Test(
        "with no other worker a slow reader gets what was answered, and the end in order",
        arguments: WorkerLanguage.allCases)
    func nobodyTakes(language: WorkerLanguage) throws {
        let worker = try language.start(at: files.path("blue"), other: files.path("green"), in: files)
        let deaf = try client(Self.deaf)
        try deaf.expect("FULL\n")
        kill(worker.processID, SIGTERM)
        try worker.expect("process \(worker.processID) has handed on 0 connections\n")
        kill(worker.processID, SIGTERM)
        try deaf.send("\n")
        try deaf.expect("ENDED IN ORDER\n")
        try worker.expect(nil)
        #expect(worker.status == 0)
    }

    @Test("an answer that is the last is not lost with what the client still sends", arguments: WorkerLanguage.allCases)
    func tooLarge(language: WorkerLanguage) throws {
        let worker = try language.start(at: files.path("blue"), other: files.path("green"), in: files)
        let client = try client(Self.tooLarge)
        try client.expect("413 in order\n")
        #expect(worker.isRunning)
    }

    private static let common = #"""
        import http.client, select, socket, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        def connect(buffer=None):
            raw = socket.socket()
            if buffer: raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            raw.settimeout(120)
            raw.connect(('127.0.0.1', int(sys.argv[1])))
            return context.wrap_socket(raw, suppress_ragged_eofs=False)
        def answer(s):
            response = http.client.HTTPResponse(s)
            response.begin()
            return response.status, response.read()

        """#

    private static let crowd = #"""
        clients = [connect() for _ in range(600)]
        def ask(begin, end):
            for s in clients: s.sendall(begin)
            answers = []
            for s in clients:
                s.sendall(end)
                answers.append(answer(s)[1].decode())
            processes = {int(text.split()[1]) for text in answers}
            print(len([text for text in answers if '/program/whole' in text]), 'ANSWERED BY', processes, flush=True)
        ask(b'', b'GET /program/whole HTTP/1.1\r\n\r\n')
        # Half of it before, half of it after.
        for s in clients: s.sendall(b'GET /program/wh')
        sys.stdin.readline()
        ask(b'o', b'le HTTP/1.1\r\n\r\n')
        """#

    // The server reads the first request, and takes no such path itself.
    private static let otherPath = #"""
        s = connect()
        for path in ['/program/first', '/program/été', '/program/next']:
            s.sendall(f'GET {path} HTTP/1.1\r\n\r\n'.encode())
            status, text = answer(s)
            print(status, text.decode(), end='', flush=True)
        """#

    // At most 64 MiB: a worker that goes on reading has all of it in its memory.
    private static let deaf = #"""
        s = connect(65536)
        request = b'GET /program/' + b'x' * 4000 + b' HTTP/1.1\r\n\r\n'
        s.sendall(request)
        s.setblocking(False)
        sent, rest = 1, memoryview(request)
        while sent < 16000 and select.select([], [s], [], 3)[1]:
            try:
                rest = rest[s.send(rest):]
            except ssl.SSLWantWriteError:
                continue
            if not rest: sent, rest = sent + 1, memoryview(request)
        print('FULL' if sent < 16000 else 'TAKES ALL', flush=True)
        sys.stdin.readline()
        count, tail = 0, b''
        try:
            while count < sent:
                select.select([s], [], [], 120)
                try: more = s.recv(65536)
                except ssl.SSLWantReadError: continue
                if not more: break
                count += (tail + more).count(b'it saw here\n')
                tail = (tail + more)[-11:]
            is_whole = count > 0 and tail == b't saw here\n'
            print('ALL ANSWERED' if count == sent else 'ENDED IN ORDER' if is_whole else 'CUT', flush=True)
        except OSError as error:
            print('BROKEN', error, flush=True)
        """#

    private static let flood = #"""
        s = connect()
        s.setblocking(False)
        request = b'POST /program/flood HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n' + b'x' * 1000000
        rest, count = memoryview(request), 0
        while True:
            readable, writable, _ = select.select([s, sys.stdin], [s], [])
            if sys.stdin in readable: break
            try:
                if s in readable:
                    s.recv(65536)
                    count += 1
                    if count == 1: print('BEGUN', flush=True)
            except ssl.SSLWantReadError: pass
            try:
                if s in writable: rest = rest[s.send(rest):] or memoryview(request)
            except ssl.SSLWantWriteError: pass
        print('END', flush=True)
        """#

    private static let tooLarge = #"""
        s = connect()
        s.sendall(b'POST /program/large HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n')
        try:
            for _ in range(8): s.sendall(b'x' * 100000)
        except OSError: pass
        heard = b''
        while more := s.recv(65536): heard += more
        print(heard.split()[1].decode(), 'in order')
        """#
}
