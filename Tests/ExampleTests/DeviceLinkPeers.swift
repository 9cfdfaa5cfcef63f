import SelfSigned
import StockPeers
import Testing

/// A server of the example, devices and an operator.
struct DeviceLinkPeers {
    let files = try! TemporaryFiles()
    private let command: [String]

    init() throws {
        let server = try Credentials.shared.write("p256", in: files)
        command =
            ["stdbuf", "-oL", try BuiltProgram.path("DeviceLink"), "--cert", server.certificate, "--key", server.key]
            + ["--ca", try Credentials.shared.rootsFile(in: files), "--store", files.path("store")]
            + ["--operator", files.path("operator"), "--control", files.path("control")]
        for name in ["device-17", "device-18", "device-19"] {
            let issued = try Credentials.shared.authority.issue(for: [name])
            _ = try files.write(issued.certificatePEM, "\(name).pem")
            _ = try files.write(issued.privateKeyPEM, "\(name).key")
        }
    }

    func start(port: Int = 0) throws -> PeerProcess { try PeerProcess(command + ["--port", "\(port)"]) }

    func server() throws -> (process: PeerProcess, port: Int) {
        let server = try start()
        return (server, try server.number(behind: "listens for devices at port "))
    }

    /// Replaces the server by another process; the old one has ended when this returns.
    func deploy(replacing old: PeerProcess) throws -> PeerProcess {
        let new = try start()
        try new.expect("took over")
        try old.expect("connections and ends")
        try old.expect(nil)
        #expect(old.status == 0)
        return new
    }

    /// OpenSSL as a device: its lines are the test's.
    func openssl(_ port: Int, _ name: String) throws -> PeerProcess {
        try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-quiet", "-nocommands", "-CAfile"]
                + [files.path("roots.pem"), "-verify_return_error", "-cert", files.path("\(name).pem")]
                + ["-key", files.path("\(name).key")])
    }

    /// Python as a device that does what it is told, once, and remembers what it did last in a file. It prints `DID TEXT`.
    ///
    /// - Parameter habit: `steady`; `deaf`: hears only what is said a second time; `dying`: ends when it has done something, and
    ///   before it can say so.
    func device(_ port: Int, _ name: String, _ habit: String = "steady") throws -> PeerProcess {
        try PeerProcess(python(Self.holding, port, name) + [habit])
    }

    /// Python as a device that holds no connection and pulls when it is triggered, at most so often a second.
    func poorDevice(_ port: Int, _ name: String, pullsPerSecond: Int) throws -> PeerProcess {
        try PeerProcess(python(Self.pulling, port, name) + ["\(pullsPerSecond)"])
    }

    private func python(_ text: String, _ port: Int, _ name: String) -> [String] {
        ["python3", "-c", Self.common + text, "\(port)", files.path("\(name).pem"), files.path("\(name).key")]
            + [files.path("roots.pem"), files.path("\(name).last")]
    }

    func operatorClient() throws -> PeerProcess {
        try PeerProcess(["python3", "-c", Self.operating, files.path("operator")])
    }

    private static let common = """
        import os, socket, ssl, sys, time
        context = ssl.create_default_context(cafile=sys.argv[4])
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        def connect():
            return context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))), server_hostname='localhost')
        def last():
            return int(open(sys.argv[5]).read()) if os.path.exists(sys.argv[5]) else 0
        def do(line):
            _, number, text = line.split(' ', 2)
            if int(number) > last():
                print('DID', text, flush=True)
                with open(sys.argv[5], 'w') as f: f.write(number)
            else: print('AGAIN', text, flush=True)
            return f'DONE {number} did {text}\\n'.encode()

        """

    private static let holding = """
        t = connect()
        t.sendall(f'HELLO {last()}\\n'.encode())
        print('HERE', flush=True)
        heard = set()
        for line in t.makefile('r'):
            line = line.rstrip('\\n')
            if not line.startswith('DO '): sys.exit(line)
            if sys.argv[6] == 'deaf' and line not in heard:
                heard.add(line)
                print('DEAF', flush=True)
                continue
            answer = do(line)
            if sys.argv[6] == 'dying': os._exit(1)
            t.sendall(answer)
        """

    private static let pulling = """
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.bind(('127.0.0.1', 0))
        port, pulls, triggers, allowed, filled = u.getsockname()[1], 0, 0, 1.0, time.monotonic()
        rate = int(sys.argv[6])
        def pull():
            global pulls
            pulls += 1
            with connect() as t:
                t.sendall(f'PULL {last()} {port}\\n'.encode())
                for line in t.makefile('r'):
                    line = line.rstrip('\\n')
                    if line == 'END': break
                    if not line.startswith('DO '):
                        print(line, flush=True)
                        break
                    t.sendall(do(line))
        pull()
        print('TRIGGERED AT', port, flush=True)
        while True:
            name = u.recv(100)
            triggers += 1
            # Whoever sent it, it can be no more than a reason to ask, and not too often.
            now = time.monotonic()
            allowed, filled = min(rate, allowed + (now - filled) * rate), now
            if allowed >= 1:
                allowed -= 1
                pull()
                print('PULLED', pulls, 'AFTER', triggers, name.decode().strip(), flush=True)
        """

    private static let operating = """
        import socket, sys, threading
        s = socket.socket(socket.AF_UNIX)
        s.connect(sys.argv[1])
        def hear():
            for line in s.makefile('r'): print(line, end='', flush=True)
        threading.Thread(target=hear, daemon=True).start()
        for line in sys.stdin: s.sendall(line.encode())
        """
}
