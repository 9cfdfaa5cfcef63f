import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// Mail through STARTTLS: the front greets and leads to TLS, and the server behind it is an ordinary one.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct MailTests {
    private func server(
        _ kind: String, upstream port: Int, proxyProtocol: Bool = false, _ more: [String] = []
    ) throws -> Server {
        try Server(
            ["--listeners.default.starttls", kind, "--upstream", "127.0.0.1:\(port)"]
                + (proxyProtocol ? ["--upstreams.default.proxy-protocol", "v2"] : []) + more)
    }

    @Test(
        "smtplib sends mail through Postfix, in a session that moves and outlives an upgrade",
        .enabled(if: geteuid() == 0, "Postfix needs root"), arguments: [false, true])
    func postfix(proxyProtocol: Bool) throws {
        let postfix = try Postfix(proxyProtocol: proxyProtocol)
        let server = try server("smtp", upstream: postfix.port, proxyProtocol: proxyProtocol, ["--move-every", "1"])
        let client = try PeerProcess(["python3", "-c", Self.smtpText, "\(server.port)", "2000"])
        try client.expect("READY")
        try server.upgrade()
        try client.send("go on\n")
        try client.expect("SENT {}")
        for _ in 1...2 { try postfix.process.expectNext("delivered to maildir") }
        let mail = try postfix.mail()
        #expect(mail.contains("short"))
        #expect(mail.components(separatedBy: String(repeating: "line of text ", count: 5)).count > 2_000)
        _ = try server.waitUntil { $0.moves.handoff > 5 }
    }

    @Test(
        "swaks sends mail through Postfix, which sees the client by the PROXY header alone",
        .enabled(if: geteuid() == 0, "Postfix needs root"),
        .enabled(if: try Self.swaksSpeaksTLS(), "swaks needs libnet-ssleay-perl"))
    func swaks() throws {
        let postfix = try Postfix(proxyProtocol: true)
        let server = try server("smtp", upstream: postfix.port, proxyProtocol: true, ["--move-every", "1"])
        let swaks = try PeerProcess(
            [
                "swaks", "--server", "127.0.0.1:\(server.port)", "--tls", "--from", "a@a.example", "--to",
                "box@mx.example", "--body", "sent by swaks", "--local-interface", "127.0.0.9",
            ])
        try swaks.expect("221 2.0.0 Bye")
        try postfix.process.expect("[127.0.0.9]")
        try postfix.process.expect("delivered to maildir")
        #expect(try postfix.mail().contains("sent by swaks"))
    }

    private static func swaksSpeaksTLS() throws -> Bool {
        let perl = try PeerProcess(["perl", "-MNet::SSLeay", "-e", "print 'yes'"])
        try perl.expect(nil)
        return perl.text == "yes"
    }

    @Test("smtplib sends mail through aiosmtpd")
    func aiosmtpd() throws {
        let port = Int(try Wire.freePort())
        let upstream = try PeerProcess(
            ["env", "PYTHONUNBUFFERED=1", "/usr/bin/aiosmtpd", "-n", "-l", "127.0.0.1:\(port)"])
        try Listening.await(port, upstream)
        let server = try server("smtp", upstream: port, ["--move-every", "1"])
        let client = try PeerProcess(["python3", "-c", Self.smtpText, "\(server.port)", "100"])
        try client.expect("READY")
        try client.send("go on\n")
        try client.expect("SENT {}")
        try upstream.expect("END MESSAGE")
    }

    @Test(
        "imaplib logs in, stores and reads a message through Dovecot, and is the client that Dovecot sees",
        .enabled(if: geteuid() == 0, "Dovecot needs root"), arguments: [false, true])
    func dovecot(proxyProtocol: Bool) throws {
        let dovecot = try Dovecot(proxyProtocol: proxyProtocol)
        let server = try server("imap", upstream: dovecot.port, proxyProtocol: proxyProtocol, ["--move-every", "1"])
        let client = try PeerProcess(["python3", "-c", Self.imapText, "\(server.port)"])
        try client.expect("READY")
        try server.upgrade()
        try client.send("go on\n")
        try client.expect("READ True")
        // Told of the client's TLS, it takes the session for a secured one.
        if proxyProtocol { try dovecot.process.expect("secured") }
    }

    @Test("a greeting that comes slowly, in lines and pieces, is taken off also if the session moves meanwhile")
    func slowGreeting() throws {
        let upstream = try PeerProcess(["python3", "-c", Self.greetingText])
        let server = try server("smtp", upstream: try upstream.number(behind: "PORT "))
        let client = try PeerProcess(["python3", "-c", Self.ehloText, "smtp", "\(server.port)"])
        try upstream.expect("CONNECTION 1")
        try upstream.send("220-first\\r\\n22\n")
        try upstream.expect("SENT")
        try server.upgrade()
        // The next owner has begun anew.
        try upstream.expect("CONNECTION 2")
        for piece in ["220-first\\r\\n22", "0-second\\r", "\\n220 third\\r\\n"] { try upstream.send(piece + "\n") }
        try upstream.expect("HEARD b'ehlo")
        try upstream.send("250 upstream.example\\r\\n\n")
        try client.expect("ANSWER 250 b'upstream.example'")
    }

    @Test(
        "a client is told in its protocol that the upstream takes nobody, or is not what it should be",
        arguments: [
            ("smtp", "554 5.7.1 go away\\r\\n", "554 b'5.7.1 go away'"),
            ("smtp", "421-busy\\r\\n421 later\\r\\n", "421 b'busy\\nlater'"),
            ("smtp", "* OK hello\\r\\n", "421 b'4.3.2"),
            ("smtp", "220 a\\r\\n220 b\\r\\n", "421 b'4.3.2"), ("imap", "* BYE too many\\r\\n", "BYE [b'too many']"),
            ("imap", "* PREAUTH hello root\\r\\n", "BYE [b'Service not available"),
            ("imap", "220 hello\\r\\n", "BYE [b'Service not available"),
        ])
    func refused(kind: String, greeting: String, answer: String) throws {
        let upstream = try PeerProcess(["python3", "-c", Self.greetingText])
        let server = try server(kind, upstream: try upstream.number(behind: "PORT "))
        try upstream.send(greeting + "\n")
        let client = try PeerProcess(["python3", "-c", Self.ehloText, kind, "\(server.port)"])
        try client.expect("ANSWER \(answer)")
        try client.expect("CLOSED")
        try server.log("the upstream cannot be reached")
        #expect(!upstream.text.contains("HEARD"))
    }

    @Test("a client is told so where nobody listens, too", arguments: [("smtp", "421 "), ("imap", "BYE ")])
    func unreachable(kind: String, answer: String) throws {
        let server = try server(kind, upstream: Int(try Wire.freePort()))
        let client = try PeerProcess(["python3", "-c", Self.ehloText, kind, "\(server.port)"])
        try client.expect("ANSWER \(answer)")
        try client.expect("CLOSED")
    }

    private static let smtpText = """
        import smtplib, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = smtplib.SMTP('127.0.0.1', int(sys.argv[1]), timeout=60)
        client.starttls(context=context)
        client.ehlo()
        client.sendmail('a@a.example', ['box@mx.example'], 'Subject: one\\r\\n\\r\\nshort\\r\\n')
        print('READY', flush=True)
        sys.stdin.readline()
        body = ('line of text ' * 5 + '\\r\\n') * int(sys.argv[2])
        print('SENT', client.sendmail('a@a.example', ['box@mx.example'], 'Subject: two\\r\\n\\r\\n' + body), flush=True)
        client.quit()
        """

    private static let imapText = """
        import imaplib, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = imaplib.IMAP4('127.0.0.1', int(sys.argv[1]), timeout=60)
        client.starttls(context)
        client.login('box', 'secret')
        message = b'Subject: one\\r\\n\\r\\n' + b'line of text\\r\\n' * 5000
        client.append('INBOX', None, None, message)
        client.select()
        print('READY', flush=True)
        sys.stdin.readline()
        print('READ', client.fetch('1', '(RFC822)')[1][0][1] == message, flush=True)
        client.logout()
        """

    /// Sends what it is told to each client, after what it was told before a client came; prints what it hears.
    private static let greetingText = """
        import socket, sys, threading
        listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', listener.getsockname()[1], flush=True)
        told, connections, changed = [], [], threading.Condition()
        def hear(s):
            while True:
                try: data = s.recv(65536)
                except OSError: return
                if not data: return
                print('HEARD', data, flush=True)
        def accept():
            while True:
                s = listener.accept()[0]
                with changed:
                    connections.append(s)
                    changed.notify()
                    print('CONNECTION', len(connections), flush=True)
                threading.Thread(target=hear, args=(s,), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        for line in sys.stdin:
            with changed:
                changed.wait_for(lambda: connections)
                connections[-1].sendall(line.rstrip('\\n').encode().decode('unicode_escape').encode())
            print('SENT', flush=True)
        """

    /// Leads to TLS as the protocol has it, and prints the answer to the first command behind it.
    private static let ehloText = """
        import imaplib, smtplib, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        port = int(sys.argv[2])
        if sys.argv[1] == 'smtp':
            client = smtplib.SMTP('127.0.0.1', port, timeout=60)
            client.starttls(context=context)
            print('ANSWER', *client.ehlo(), flush=True)
            try: client.noop()
            except smtplib.SMTPServerDisconnected: print('CLOSED', flush=True)
        else:
            client = imaplib.IMAP4('127.0.0.1', port, timeout=60)
            try: client.starttls(context)
            except imaplib.IMAP4.abort: pass
            print('ANSWER BYE', client.untagged_responses.get('BYE'), flush=True)
            try: client.noop()
            except (imaplib.IMAP4.abort, OSError): print('CLOSED', flush=True)
        """
}
