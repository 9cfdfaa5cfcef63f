import StockPeers
import TLSRecords
import Testing

@Suite(.timeLimit(.minutes(2)))
struct PollLoopTests {
    @Test("the poll loop gets a page from openssl s_server")
    func getsPage() throws {
        let files = try TemporaryFiles()
        let (server, port) = try StockPeer.server(.openssl, .tls13, certificate: "p256", in: files, ["-www"])
        defer { withExtendedLifetime(server) {} }
        let roots = try Credentials.shared.rootsFile(in: files)
        let loop = try PeerProcess(
            ["env", "SSL_CERT_FILE=\(roots)", try BuiltProgram.path("PollLoop"), "localhost", "\(port)"])
        try loop.expect(nil)
        #expect(loop.text.contains("HTTP/1.0 200 ok"), "\(loop.text)")
        #expect(loop.text.contains("TLSv1.3"), "\(loop.text)")
    }

    @Test("the poll loop refuses a server whose certificate it does not trust, in one line")
    func refusesStranger() throws {
        let files = try TemporaryFiles()
        let (server, port) = try StockPeer.server(.openssl, .tls13, certificate: "p256", in: files, ["-www"])
        defer { withExtendedLifetime(server) {} }
        let loop = try PeerProcess([try BuiltProgram.path("PollLoop"), "localhost", "\(port)"])
        try loop.expect(nil)
        #expect(loop.text.hasPrefix("PollLoop: "), "\(loop.text)")
        #expect(loop.text.split(separator: "\n").count == 1, "\(loop.text)")
    }
}
