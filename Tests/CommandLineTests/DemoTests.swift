import Foundation
import StockPeers
import Testing

/// `baton demo --json` for each cipher, version and peer: the connection moves and no byte is lost.
@Suite("baton demo", .serialized)
struct DemoTests {
    /// The document that `--json` prints, and nothing besides: reading it checks the types.
    struct Report: Decodable {
        struct Pause: Decodable {
            var p50, p99, max: Double
        }

        var moves, owners, bytes_up, bytes_down, errors: Int
        var digest_match: Bool
        var peer, tls, cipher: String
        var pause_us: Pause
    }

    static let keys: Set = [
        "moves", "owners", "bytes_up", "bytes_down", "digest_match", "peer", "tls", "cipher", "pause_us", "errors",
    ]

    struct Setting: Sendable, CustomTestStringConvertible {
        var peer: String
        var program: String
        var tls: String
        var cipher: String
        var suite: String
        var testDescription: String { "\(peer), TLS \(tls), \(cipher)" }

        static let all: [Setting] = ["openssl", "gnutls"].flatMap { peer in
            [
                ("1.3", "aes-128-gcm", "TLS_AES_128_GCM_SHA256"),
                ("1.3", "aes-256-gcm", "TLS_AES_256_GCM_SHA384"),
                ("1.3", "chacha20-poly1305", "TLS_CHACHA20_POLY1305_SHA256"),
                ("1.2", "aes-128-gcm", "WITH_AES_128_GCM_SHA256"),
                ("1.2", "aes-256-gcm", "WITH_AES_256_GCM_SHA384"),
                ("1.2", "chacha20-poly1305", "WITH_CHACHA20_POLY1305_SHA256"),
            ].map { tls, cipher, suite in
                Setting(
                    peer: peer, program: peer == "openssl" ? "openssl s_client" : "gnutls-cli", tls: tls,
                    cipher: cipher, suite: suite)
            }
        }
    }

    @Test("moves and loses nothing", arguments: Setting.all)
    func demo(_ setting: Setting) throws {
        // gnutls-cli writes its output byte by byte.
        let (size, bytes) = setting.peer == "openssl" ? ("2M", 2 << 20) : ("256K", 256 << 10)
        let command = try Command(
            ["demo", "--json", "--moves", "25", "--bytes", size, "--tls", setting.tls, "--cipher", setting.cipher]
                + ["--peer", setting.peer])
        let result = try command.run()
        #expect(result.status == 0)
        #expect(result.errors.isEmpty, "\(result.errors)")

        let data = Data(result.output.utf8)
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(Set(object.keys) == DemoTests.keys)
        let pause = try #require(object["pause_us"] as? [String: Any])
        #expect(Set(pause.keys) == ["p50", "p99", "max"])

        let report = try JSONDecoder().decode(Report.self, from: data)
        #expect(report.errors == 0)
        #expect(report.digest_match)
        #expect(report.moves == 25)
        #expect(report.owners >= 3)
        #expect(report.bytes_up == bytes)
        #expect(report.bytes_down == bytes)
        #expect(report.tls == setting.tls)
        #expect(report.cipher.hasSuffix(setting.suite))
        #expect(report.peer.hasPrefix(setting.program + " "))
        #expect(report.pause_us.p50 > 0)
        #expect(report.pause_us.p50 <= report.pause_us.p99)
        #expect(report.pause_us.p99 <= report.pause_us.max)

        #expect(try command.leftovers().isEmpty)
        #expect(try ChildProcesses.using(command.folder).isEmpty)
    }

    @Test("prints a table where no JSON is asked for")
    func table() throws {
        let result = try Command(["demo", "--moves", "3", "--bytes", "100K"]).run()
        #expect(result.status == 0)
        let titles = result.output.split(separator: "\n").map { $0.prefix { $0 != " " } }
        #expect(titles == ["peer", "connection", "moves", "bytes", "digests", "pause", "errors"])
    }

    @Test("moves at every byte if there are no more bytes than that")
    func everyByte() throws {
        let result = try Command(["demo", "--json", "--moves", "30", "--bytes", "20"]).run()
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }
}
