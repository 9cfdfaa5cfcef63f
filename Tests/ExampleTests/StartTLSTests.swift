import Foundation
import StockPeers
import Testing

@Suite(.timeLimit(.minutes(2)))
struct StartTLSTests {
    private let files: TemporaryFiles
    private let program: [String]
    private let parent: PeerProcess
    private let port: Int

    init() throws {
        files = try TemporaryFiles()
        program = ["stdbuf", "-oL", try BuiltProgram.path("StartTLS")]
        parent = try PeerProcess(program + ["parent", files.path("worker"), "0"])
        port = try parent.number(behind: "listens at port ")
    }

    private func worker() throws -> PeerProcess {
        let (certificate, key, _) = try Credentials.shared.write("p256", in: files)
        let worker = try PeerProcess(program + ["worker", files.path("worker"), certificate, key])
        try worker.expect("waits for connections")
        return worker
    }

    @Test("openssl s_client -starttls smtp speaks with the parent first, and then with the worker")
    func openssl() throws {
        let worker = try worker()
        let client = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-starttls", "smtp", "-quiet", "-nocommands"]
                + ["-crlf", "-CAfile", try Credentials.shared.rootsFile(in: files), "-verify_return_error"])
        try client.send("EHLO client\n")
        try client.expect("250 localhost, process \(worker.processID)\r\n")
        try client.send("QUIT\n")
        try client.expect("221 2.0.0 Bye\r\n")
        try client.expect(nil)
        try worker.expect("process \(worker.processID) has made a handshake")
    }

    @Test("smtplib sends a message to the worker")
    func message() throws {
        let worker = try worker()
        let client = try PeerProcess(
            ["python3", "-c", Self.sender, "\(port)", try Credentials.shared.rootsFile(in: files)])
        try client.expect(nil)
        #expect(client.text == "b'localhost, process \(worker.processID)'\nSENT\n")
        try worker.expect("process \(worker.processID) has a message of ")
    }

    @Test("without a worker TLS is refused in the clear, and begins on the same connection when one has come")
    func workerComesLater() throws {
        let client = try PeerProcess(
            ["python3", "-c", Self.patientSender, "\(port)", try Credentials.shared.rootsFile(in: files)])
        try client.expect("REFUSED 454\n")
        let first = try worker()
        try client.send("\n")
        try client.expect("b'localhost, process \(first.processID)'\nEND\n")
        // Another one takes its place.
        kill(first.processID, SIGKILL)
        try first.expect(nil)
        let second = try worker()
        let next = try PeerProcess(
            ["python3", "-c", Self.sender, "\(port)", try Credentials.shared.rootsFile(in: files)])
        try next.expect("b'localhost, process \(second.processID)'\nSENT\n")
    }

    @Test("a command behind STARTTLS ends the connection, and is not taken for one that came over TLS")
    func injection() throws {
        let worker = try worker()
        let wire = try Wire.connect(UInt16(port))
        try wire.write(Array("STARTTLS\r\nMAIL FROM:<a@example.com>\r\n".utf8))
        var heard: [UInt8] = []
        while case let more = try wire.read(), !more.isEmpty { heard += more }
        let text = String(decoding: heard, as: UTF8.self)
        #expect(text == "220 localhost ESMTP\r\n501 5.5.2 Nothing may follow STARTTLS\r\n")
        withExtendedLifetime(worker) {}
    }

    @Test(
        "a line ends with CR LF alone, and so does a message")
    func smuggling() throws {
        let worker = try worker()
        let client = try PeerProcess(
            ["python3", "-c", Self.smuggler, "\(port)", try Credentials.shared.rootsFile(in: files)])
        try client.expect("ONE MESSAGE, THEN b'2.0.0 Ok'\n")
        try worker.expect("process \(worker.processID) has a message of 21 bytes\n")
    }

    @Test(
        "who sends commands and reads no answers is not read for ever, in either process", arguments: ["clear", "TLS"])
    func doesNotRead(_ layer: String) throws {
        let worker = try worker()
        let deaf = try PeerProcess(["python3", "-c", Self.deaf, "\(port)", layer])
        try deaf.expect("FULL\n")
        let other = try PeerProcess(
            ["python3", "-c", Self.sender, "\(port)", try Credentials.shared.rootsFile(in: files)])
        try other.expect("SENT\n")
        try deaf.send("\n")
        try deaf.expect("GOES ON\n")
        #expect(worker.isRunning)
    }

    @Test("wrong arguments and a path that is in use are refused in one line")
    func wrongArguments() throws {
        let wrong = try PeerProcess(program + ["worker"])
        try wrong.expect(nil)
        #expect(wrong.text.hasPrefix("use: StartTLS worker") && wrong.status == 2)
        let first = try worker()
        let (certificate, key, _) = try Credentials.shared.write("p256", in: files)
        let second = try PeerProcess(program + ["worker", files.path("worker"), certificate, key])
        try second.expect(nil)
        #expect(second.text.hasPrefix("StartTLS: another process listens at ") && second.status == 1)
        #expect(second.text.split(separator: "\n").count == 1)
        withExtendedLifetime(first) {}
    }

    private static let smuggler = #"""
        import smtplib, ssl, sys
        with smtplib.SMTP('127.0.0.1', int(sys.argv[1]), timeout=60) as s:
            s.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
            s.ehlo()
            s.mail('a@example.com')
            s.rcpt('b@example.com')
            s.docmd('DATA')
            s.send(b'one\n.\nMAIL FROM:<x>\r\n.\r\n')
            s.getreply()
            print('ONE MESSAGE, THEN', s.noop()[1], flush=True)
        """#

    // At most 16 MiB: whoever goes on reading has more than twice as much in its memory.
    private static let deaf = #"""
        import select, socket, ssl, sys
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.settimeout(60)
        s.connect(('127.0.0.1', int(sys.argv[1])))
        s.recv(100)
        if sys.argv[2] == 'TLS':
            s.sendall(b'STARTTLS\r\n')
            s.recv(100)
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            s = context.wrap_socket(s)
        s.setblocking(False)
        # Six bytes to send, fourteen to read.
        commands, most, sent = b'NOOP\r\n' * 1000, 16 << 20, 0
        while sent < most and select.select([], [s], [], 3)[1]:
            try: sent += s.send(commands[sent % 6:])
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError): pass
        print('FULL' if sent < most else 'TAKES ALL', flush=True)
        sys.stdin.readline()
        # When it reads again the server reads again, too, and takes more.
        answers, answer = b'', b'250 2.0.0 Ok\r\n'
        while True:
            readable, writable, _ = select.select([s], [s], [], 60)
            if writable or not readable: break
            try: more = s.recv(65536)
            except ssl.SSLWantReadError: continue
            if not more: break
            answers += more
        is_right = answers == (answer * (len(answers) // 14 + 1))[:len(answers)]
        print('GOES ON' if writable and is_right else 'DOES NOT GO ON', flush=True)
        """#

    private static let sender = """
        import smtplib, ssl, sys
        with smtplib.SMTP('127.0.0.1', int(sys.argv[1]), timeout=60) as s:
            s.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
            print(s.ehlo()[1], flush=True)
            s.sendmail('a@example.com', ['b@example.com'], 'Subject: a test\\r\\n\\r\\n' + 'a line\\r\\n' * 10000)
            print('SENT', flush=True)
        """

    private static let patientSender = """
        import smtplib, ssl, sys
        context = ssl.create_default_context(cafile=sys.argv[2])
        with smtplib.SMTP('127.0.0.1', int(sys.argv[1]), timeout=60) as s:
            try:
                s.starttls(context=context)
            except smtplib.SMTPResponseException as error:
                print('REFUSED', error.smtp_code, flush=True)
            sys.stdin.readline()
            s.starttls(context=context)
            print(s.ehlo()[1], flush=True)
        print('END', flush=True)
        """
}
