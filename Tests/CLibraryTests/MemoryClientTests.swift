import Foundation
import StockPeers
import TLSRecords
import Testing

/// `Examples/C/memory`: libuv, and TLS over memory.
@Suite("The libuv client over memory", .timeLimit(.minutes(5)))
struct MemoryClientTests {
    private let files: TemporaryFiles
    private let program: String

    init() throws {
        files = try TemporaryFiles()
        program = try CProgram.build("Examples/C/memory/client.c", in: files, ["-luv"])
    }

    private func get(_ path: String, port: UInt16, roots: String? = nil) throws -> PeerProcess {
        let roots = try roots ?? Credentials.shared.rootsFile(in: files)
        let client = try PeerProcess([program, "localhost", "\(port)", path, roots])
        try client.expect(nil)
        return client
    }

    @Test("it gets the page of openssl s_server", arguments: [TLSVersion.tls12, .tls13])
    func page(version: TLSVersion) throws {
        let (server, port) = try StockPeer.server(
            .openssl, version, certificate: "p256", in: files, ["-www", "-naccept", "1"])
        let client = try get("/", port: port)
        #expect(client.text.contains("HTTP/1.0 200 ok"), "\(client.text)")
        #expect(client.text.contains("TLSv\(version)"), "\(client.text)")
        #expect(client.status == 0)
        withExtendedLifetime(server) {}
    }

    @Test("it gets 8 MiB, and every byte is the file's", arguments: [TLSVersion.tls12, .tls13])
    func file(version: TLSVersion) throws {
        let file = files.path("file.bin")
        try PeerProcess(["openssl", "rand", "-out", file, "\(8 << 20)"]).expect(nil)
        // s_server serves what lies where it was started.
        let issued = try CProgram.identity(in: files)
        let server = try PeerProcess(
            ["env", "-C", files.path(""), "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", issued[0]]
                + ["-key", issued[1], "-WWW", version == .tls13 ? "-tls1_3" : "-tls1_2"])
        let port = try server.number(behind: "ACCEPT 127.0.0.1:")
        let client = try get("/file.bin", port: UInt16(port))
        let head = try #require(client.bytes.firstRange(of: Array("\r\n\r\n".utf8)))
        let sent = try Data(contentsOf: URL(fileURLWithPath: file))
        #expect(sent.count == 8 << 20 && Data(client.bytes[head.upperBound...]) == sent)
        #expect(client.status == 0)
        withExtendedLifetime(server) {}
    }

    @Test("a certificate that it does not trust is refused in one line")
    func refusesStranger() throws {
        let (server, port) = try StockPeer.server(.openssl, .tls13, certificate: "p256", in: files, ["-www"])
        // Somebody's, but not the authority's.
        let client = try get("/", port: port, roots: try CProgram.identity(in: files)[0])
        #expect(client.text == "client: the handshake has failed: unable to get local issuer certificate\n")
        #expect(client.status == 1)
        withExtendedLifetime(server) {}
    }

    @Test("an answer that ends without close_notify is not taken for whole")
    func truncation() throws {
        let issued = try CProgram.identity(in: files)
        let server = try PeerProcess(["python3", "-c", Self.cutOff] + issued)
        let client = try get("/", port: UInt16(try server.number(behind: "PORT ")))
        #expect(client.text.hasPrefix("HTTP/1.0 200 OK\r\n\r\nhalf"), "\(client.text)")
        #expect(client.text.contains("client: the answer is not whole: "), "\(client.text)")
        #expect(client.status == 1)
    }

    private static let cutOff = """
        import socket, ssl, sys
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', listener.getsockname()[1], flush=True)
        with context.wrap_socket(listener.accept()[0], server_side=True) as s:
            while b'\\r\\n\\r\\n' not in s.recv(4096): pass
            s.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\nhalf')
            # A FIN, and no close_notify.
            s.shutdown(socket.SHUT_WR)
            while socket.socket.recv(s, 4096): pass
        """
}
