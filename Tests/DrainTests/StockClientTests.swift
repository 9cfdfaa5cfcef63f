import BatonConfiguration
import BatonServer
import HostLab
import StockPeers
import Testing

extension DrainTests {
    @Suite("keeps stock clients connected")
    struct StockClientTests {
        @Test(
            "openssl s_client goes on there and back",
            arguments: ["-tls1_3", "-tls1_2"], ["192.0.2.100:4443", "[2001:db8::100]:4443"])
        func openssl(version: String, address: String) async throws {
            let hosts = try await Hosts()
            let client = try PeerProcess(
                Host.inside(.client)
                    + ["openssl", "s_client", "-connect", address, version, "-quiet", "-nocommands"])
            try client.send("here\n")
            try client.expect("here\n")
            for (round, role) in [Lab.Role.a, .b].enumerated() {
                let report = try hosts[role].drain()
                #expect(report.isComplete && report.moved == 1, "\(report)")
                #expect(report.addresses.count == 4)
                try client.send("round \(round)\n")
                try client.expect("round \(round)\n")
            }
            _ = try hosts.a.waitUntil { $0.moves.migration == 2 }
            _ = try hosts.b.waitUntil { $0.moves.migration == 2 }
        }

        @Test("curl downloads and uploads through the move, whole", arguments: ["192.0.2.100", "[2001:db8::100]"])
        func curl(address: String) async throws {
            let backend = try Clients.backendHTTP()
            defer { withExtendedLifetime(backend) {} }
            let hosts = try await proxied()
            let files = try TemporaryFiles()
            let (down, up) = (files.path("down"), files.path("up"))
            let source = try PeerProcess(
                ["python3", "-c", "open('\(up)', 'wb').write(bytes(range(256)) * 4096 * 24)"])
            try source.expect(nil)
            // A rate that is not through before the drain is.
            let url = "https://\(address):4443/24"
            let options = ["curl", "-gsk", "--limit-rate", "6M", "--max-time", "300"]
            let download = try PeerProcess(Host.inside(.client) + options + ["-o", down, url])
            let upload = try PeerProcess(
                Host.inside(.client) + options + ["-T", up, "-H", "Expect:", url])
            try hosts.a.waitUntil { $0.connections == 2 }
            try backend.expect("REQUEST\nREQUEST")
            let report = try hosts.a.drain()
            #expect(report.isComplete && report.moved == 2, "\(report)")
            try upload.expect(nil)
            try download.expect(nil)
            let digest = try PeerProcess(["sha256sum", up, down])
            try digest.expect(nil)
            let digests = digest.text.split(whereSeparator: \.isNewline).map { $0.prefix(64) }
            #expect(digests.count == 2 && digests[0] == digests[1], "\(digest.text)")
            #expect(upload.text == "DIGEST \(digests[0])", "\(upload.text)")
        }

        @Test("a WebSocket client goes on, its server on a third host")
        func webSocket() async throws {
            let backend = try Clients.backendWebSocket()
            defer { withExtendedLifetime(backend) {} }
            let hosts = try await proxied()
            let client = try Clients.webSocket("192.0.2.100")
            try client.expect("OPEN")
            try client.send("one\n")
            try client.expect("BACK one\n")
            for (round, role) in [Lab.Role.a, .b].enumerated() {
                let report = try hosts[role].drain()
                #expect(report.isComplete && report.moved == 1, "\(report)")
                try client.send("message \(round)\n")
                try client.expect("BACK message \(round)\n")
            }
        }

        @Test(
            "both connections of a proxied session move with every byte between them",
            arguments: ["tls13", "plain"], ["192.0.2.100", "2001:db8::100"])
        func proxiedBulk(kind: String, address: String) async throws {
            let backend = try Clients.backendEcho()
            defer { withExtendedLifetime(backend) {} }
            let hosts = try await proxied()
            let client = try Clients.bulk(address, kind)
            try client.expect("FLOWING")
            let there = try hosts.a.drain()
            #expect(there.isComplete && there.moved == 1, "\(there)")
            let back = try hosts.b.drain()
            #expect(back.isComplete && back.moved == 1, "\(back)")
            try client.endInput()
            try client.expect(nil)
            #expect(client.text.contains("SAME"), "\(client.text)")
        }

        @Test("a session in which this host is a TLS client, too, moves with both of its connections")
        func clientRole() async throws {
            let files = try TemporaryFiles()
            let backend = try Clients.backendTLSEcho(in: files)
            defer { withExtendedLifetime(backend) {} }
            let hosts = try await proxied(["tls: true", "tls-verify: false"])
            let client = try Clients.bulk("192.0.2.100", "tls12")
            try client.expect("FLOWING")
            for role in [Lab.Role.a, .b] {
                let report = try hosts[role].drain()
                #expect(report.isComplete && report.moved == 1, "\(report)")
            }
            try client.endInput()
            try client.expect(nil)
            #expect(client.text.contains("SAME"), "\(client.text)")
        }

        private func proxied(_ settings: [String] = []) async throws -> Hosts {
            var options = Host.Options()
            options.upstream = "198.51.100.4:7000"
            options.upstreamSettings = settings
            return try await Hosts(a: options, b: options)
        }
    }
}
