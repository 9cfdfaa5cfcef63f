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
