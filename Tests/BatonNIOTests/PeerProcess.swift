import Foundation

/// A stock program on the other side: Python's ssl, `openssl`, or one of ours. It is killed and reaped when this goes.
final class PeerProcess: @unchecked Sendable {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private(set) var text = ""

    init(_ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
    }

    deinit {
        try? input.fileHandleForWriting.close()
        // Not SIGTERM: a child inherits the signal mask of the thread it was started from.
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    var processID: Int32 { process.processIdentifier }

    func send(_ text: String) throws { try input.fileHandleForWriting.write(contentsOf: Data(text.utf8)) }

    func endInput() throws { try input.fileHandleForWriting.close() }

    /// Waits for its end; a signal's number is negative.
    func exitStatus() async -> Int32 {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { [self] in
                process.waitUntilExit()
                let status = process.terminationStatus
                continuation.resume(returning: process.terminationReason == .exit ? status : -status)
            }
        }
    }

    func killNow() { kill(process.processIdentifier, SIGKILL) }

    /// Reads what the program prints until a line begins with `wanted`, and returns the rest of that line.
    func line(_ wanted: String) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try self.readLine(wanted) })
            }
        }
    }

    private func readLine(_ wanted: String) throws -> String {
        let descriptor = output.fileHandleForReading.fileDescriptor
        while true {
            while let end = text.firstIndex(of: "\n") {
                let line = text[..<end]
                text = String(text[text.index(after: end)...])
                if line.hasPrefix(wanted) { return String(line.dropFirst(wanted.count)) }
                if line.contains("Error: ") || line.contains("Fatal error") {
                    throw TestFailure("the peer failed: \(line) \(text)")
                }
            }
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, patienceSeconds * 1_000) == 1 else {
                throw TestFailure("'\(wanted)' did not come; the peer said: \(text)")
            }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { throw TestFailure("'\(wanted)' did not come; the peer said: \(text)") }
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
    }
}

extension PeerProcess {
    /// One of our own processes, which the build puts beside the test bundle.
    convenience init(nioPeer arguments: String...) throws { try self.init(nioPeer: arguments) }

    convenience init(nioPeer arguments: [String]) throws {
        for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
            let folder = argument.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            let path = (folder + ["NIOPeer"]).joined(separator: "/")
            if access(path, X_OK) == 0 {
                try self.init([path] + arguments)
                return
            }
        }
        throw TestFailure("NIOPeer is not beside the test bundle: \(CommandLine.arguments)")
    }
}

/// Python's ssl module as the peer: it says in lines what it sees, and does in lines what it is told.
enum PythonPeer {
    static func client(port: Int, tls: String?, _ arguments: String...) throws -> PeerProcess {
        try PeerProcess(
            ["python3", "-u", "-c", program, "client", String(port), tls ?? "plain", Credentials.files.path("ca.pem")]
                + arguments)
    }

    static func server(tls: String?, _ arguments: String...) throws -> PeerProcess {
        try PeerProcess(
            ["python3", "-u", "-c", program, "server", "0", tls ?? "plain", Credentials.files.folder] + arguments)
    }

    private static let program = #"""
        import hashlib, random, socket, ssl, sys, threading
        side, port, tls, files, task = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
        versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
        if side == "client":
            plain = socket.create_connection(("127.0.0.1", port))
        else:
            listener = socket.create_server(("127.0.0.1", 0))
            print("port", listener.getsockname()[1])
            plain = listener.accept()[0]
        plain.settimeout(60)
        s = plain
        if tls != "plain":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if side == "client" else ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = context.maximum_version = versions[tls]
            if side == "client":
                context.load_verify_locations(files)
                s = context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
            else:
                context.load_cert_chain(files + "/cert.pem", files + "/key.pem")
                s = context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False)
            print("established", s.version())

        def receive(count):
            digest = hashlib.sha256()
            while count > 0:
                piece = s.recv(min(count, 65536))
                if not piece:
                    print("ended", count, "bytes early")
                    sys.exit(1)
                digest.update(piece)
                count -= len(piece)
            return digest.hexdigest()

        # Sends pieces of up to `most` bytes, while reading them back. OpenSSL's object is not for two threads at once: pieces in
        # turn, with many in flight.
        def exchange(data, source, most):
            sent = read = 0
            digest = hashlib.sha256()
            while read < len(data):
                while sent < len(data) and sent - read < 150000:
                    piece = data[sent:sent + source.randint(1, most)]
                    s.sendall(piece)
                    sent += len(piece)
                got = s.recv(65536)
                if not got:
                    print("ended early")
                    sys.exit(1)
                digest.update(got)
                read += len(got)
            print("digests", digest.hexdigest() == hashlib.sha256(data).hexdigest())

        if task == "echo":  # send random bytes in odd pieces while reading them back
            count = int(sys.argv[6])
            source = random.Random(count)
            data = source.randbytes(count)
            exchange(data, source, 20000)
        elif task == "each":  # a byte for each line from stdin
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in bytes.fromhex(sys.argv[6]):
                if not sys.stdin.readline(): break
                s.sendall(bytes([byte]))
            got = b""
            while len(sys.argv) > 7 and got.count(b"200 OK") < int(sys.argv[7]):
                got += s.recv(65536)
            print("answers", got.count(b"200 OK"))
        elif task == "websocket":  # frames in odd pieces, each echoed, until a line comes
            import select, struct
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.sendall(b"GET /socket HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
            reader = s.makefile("rb")
            print("upgraded", reader.readline().split()[1].decode())
            while reader.readline().strip(): pass
            source = random.Random(1)
            count = 0
            while not select.select([sys.stdin], [], [], 0)[0]:
                payload, key = source.randbytes(source.randint(1, 300)), source.randbytes(4)
                size = len(payload)
                length = bytes([128 | size]) if size < 126 else bytes([254]) + struct.pack(">H", size)
                frame = b"\x82" + length + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))
                while frame:
                    piece = source.randint(1, 40)
                    s.sendall(frame[:piece])
                    frame = frame[piece:]
                size = reader.read(2)[1]
                if size == 126: size = struct.unpack(">H", reader.read(2))[0]
                if reader.read(size) != payload:
                    print("frames", "wrong")
                    break
                count += 1
            else:
                print("frames", count)
        elif task == "requests":  # one request after the other, until a line comes
            import select
            reader = s.makefile("rb")
            count = 0
            while not select.select([sys.stdin], [], [], 0)[0]:
                path = b"/%d" % count
                s.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: here\r\n\r\n")
                status, size = reader.readline(), 0
                while line := reader.readline().strip():
                    if line.lower().startswith(b"content-length:"): size = int(line[15:])
                if b" 200 " not in status or reader.read(size) != path:
                    print("requests", "wrong", status)
                    break
                count += 1
                if count == 1: print("answered")
            else:
                print("requests", count)
        elif task == "lines":  # many lines in odd pieces, while reading them back
            source = random.Random(7)
            data = b"".join(source.randbytes(source.randint(0, 300)).replace(b"\n", b"-") + b"\n"
                            for _ in range(int(sys.argv[6])))
            exchange(data, source, 2000)
        elif task == "long":  # a line that does not end until told, twice
            for _ in range(2):
                s.sendall(b"x" * int(sys.argv[6]))
                sys.stdin.readline()
                s.sendall(b"\n")
        elif task == "read":  # read nothing until told
            sys.stdin.readline()
            print("digest", receive(int(sys.argv[6])))
        elif task == "halfclose":  # end our side, then read
            s.sendall(b"question")
            if tls == "plain":
                s.shutdown(socket.SHUT_WR)
                print("answer", s.recv(100).decode())
            else:
                # unwrap sends close_notify and waits for the peer's, with the data before it: by hand instead
                print("answer", s.recv(100).decode())
                s = s.unwrap()
        elif task == "truncate":
            s.sendall(b"question")
            plain.shutdown(socket.SHUT_RDWR)
        elif task == "talk":  # lines from stdin go out, and what comes in is printed
            import os, select
            # One thread: Python serialises calls on an SSL object, so a waiting recv would hold up a send.
            while True:
                if tls == "plain" or not s.pending():
                    ready = select.select([s, sys.stdin], [], [])[0]
                    if sys.stdin in ready:
                        line = os.read(0, 4096)
                        if not line: break
                        s.sendall(line.strip())
                    if s not in ready: continue
                try:
                    got = s.recv(65536)
                except Exception as error:
                    print("error", error)
                    break
                if not got:
                    print("end")
                    break
                print("got", got.decode())
        for line in sys.stdin:
            pass
        """#
}
