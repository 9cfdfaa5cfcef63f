import BatonConfiguration
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: geteuid() == 0, "needs root, to look into other processes"))
struct SecretTests {
    @Test(
        "the traffic secrets of an upstream's connection are in its worker's memory while it lives, and nowhere after")
    func upstreamSecrets() throws {
        let files = try TemporaryFiles()
        let (certificate, key, log) = (files.path("c.pem"), files.path("k.pem"), files.path("keys.log"))
        let made = try PeerProcess(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
                + ["-subj", "/CN=upstream.test", "-out", certificate, "-keyout", key])
        try made.expect(nil)
        let upstream = try PeerProcess(["python3", "-c", Self.upstreamText, certificate, key, log])
        let port = try upstream.number(behind: "PORT ")
        let server = try Server(
            ["--upstream", "127.0.0.1:\(port)", "--upstreams.default.tls", "true", "--upstreams.default.tls-verify"]
                + ["false", "--move-every", "1"], workers: 3)
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        let before = try server.waitUntil { $0.moves.handoff > 50 }
        let secrets = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
            .filter { $0.contains("_TRAFFIC_SECRET_0 ") }.compactMap { $0.split(separator: " ").last.map(bytes) }
        #expect(secrets.count == 2 && secrets.allSatisfy { $0.count >= 32 })
        // Each worker has it in turn, so not all looks find it; one that found it nowhere would show nothing.
        var isSeen = false
        for _ in 0..<200 where !isSeen {
            isSeen = try before.workers.contains { try !secrets.filter(Memory(of: $0.pid).contains).isEmpty }
        }
        #expect(isSeen)
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        let after = try server.waitUntil { $0.connections == 0 }
        for worker in after.workers {
            let memory = Memory(of: worker.pid)
            for secret in secrets { #expect(try !memory.contains(secret), "worker \(worker.pid)") }
        }
    }

    private func bytes(_ hex: Substring) -> [UInt8] {
        let digits = Array(hex)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    }

    /// The writable memory of a process.
    private struct Memory {
        let process: Int32

        init(of process: Int32) { self.process = process }

        func contains(_ bytes: [UInt8]) throws -> Bool {
            let descriptor = open("/proc/\(process)/mem", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw WireError("cannot look into \(process): \(errno)") }
            defer { close(descriptor) }
            let maps = try String(contentsOfFile: "/proc/\(process)/maps", encoding: .utf8)
            for line in maps.split(separator: "\n") {
                let parts = line.split(separator: " ", maxSplits: 2)
                guard parts.count > 1, parts[1].hasPrefix("rw") else { continue }
                let ends = parts[0].split(separator: "-").compactMap { Int(String($0), radix: 16) }
                guard ends.count == 2 else { continue }
                var buffer = [UInt8](repeating: 0, count: min(ends[1] - ends[0], 256 << 20))
                // Pages that were never touched are read as zeros; those that are gone since not at all.
                let count = pread(descriptor, &buffer, buffer.count, off_t(ends[0]))
                guard count > 0 else { continue }
                let isFound = Data(buffer[..<count]).range(of: Data(bytes)) != nil
                if isFound { return true }
            }
            return false
        }
    }

    /// A TLS echo that writes down its secrets.
    private static let upstreamText = """
        import socket, ssl, sys, threading
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        context.keylog_filename = sys.argv[3]
        listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', listener.getsockname()[1], flush=True)
        def serve(raw):
            try:
                s = context.wrap_socket(raw, server_side=True)
                while True:
                    piece = s.recv(65536)
                    if not piece: break
                    s.sendall(piece)
                s.unwrap()
            except OSError: pass
        while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        """
}
