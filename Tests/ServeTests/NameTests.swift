import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// Upstreams that are found by names, with dnsmasq to ask.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: DNSServer.isInstalled, "dnsmasq is missing: scripts/bootstrap.sh test"))
struct NameTests {
    private let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    private func server(_ dns: DNSServer, _ upstream: String) throws -> Server {
        let path = try files.write(
            """
            resolver: 127.0.0.1:\(dns.port)
            listeners: {main: {address: "127.0.0.1:0"}}
            upstreams: {web: {\(upstream)}}

            """, "baton.yaml")
        return try Server(["--config", path])
    }

    private func answers(_ server: Server, _ count: Int = 1) throws -> [String] {
        let curl = try PeerProcess(
            ["curl", "-sk", "--noproxy", "*", "--max-time", "60", "-H", "Connection: close"]
                + Array(repeating: "https://127.0.0.1:\(server.port)/", count: count))
        try curl.expect(nil)
        return curl.text.split(separator: "\n").map { String($0.dropLast(4)) }
    }

    /// Asks until these answer, at most half a minute.
    private func expect(_ names: Set<String>, _ server: Server) throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while Set(try answers(server, 6)) != names, ContinuousClock.now < deadline {}
        let last = Set(try answers(server, 6))
        let table = try server.status().table
        #expect(last == names, "\(table)")
    }

    @Test(
        "a name is resolved again when its TTL is over; connections stay where they are, and so does a name whose server is gone"
    )
    func ttl() throws {
        let one = try NamedPeer("one", host: "127.0.0.21")
        let two = try NamedPeer("two", host: "127.0.0.22", port: one.port)
        defer { withExtendedLifetime(two) {} }
        let dns = try DNSServer(in: files, ["127.0.0.21 web.test"])
        let server = try server(dns, "addresses: web.test:\(one.port)")
        let report = try server.waitUntil { $0.upstreams?.first?.address == "127.0.0.21:\(one.port)" }
        #expect(report.upstreams?.first?.name == "web.test" && report.upstreams?.first?.state == .up)
        let client = try HoldingClient(server.port)
        #expect(try client.ask() == "one")
        try dns.set(["127.0.0.22 web.test"])
        _ = try server.waitUntil { $0.upstreams?.contains { $0.address == "127.0.0.22:\(one.port)" } == true }
        try expect(["two"], server)
        #expect(try client.ask() == "one")
        try dns.stop()
        try server.log("a name cannot be resolved; its last answer holds")
        #expect(try answers(server) == ["two"])
    }

    @Test("a name with several addresses is all of them, each by turns")
    func several() throws {
        let one = try NamedPeer("one", host: "127.0.0.21")
        let two = try NamedPeer("two", host: "127.0.0.22", port: one.port)
        let dns = try DNSServer(in: files, ["127.0.0.21 web.test", "127.0.0.22 web.test"])
        let server = try server(dns, "addresses: web.test:\(one.port), balance: round-robin")
        _ = try server.waitUntil { $0.upstreams?.count == 2 }
        try expect(["one", "two"], server)
        withExtendedLifetime((one, two, dns)) {}
    }

    @Test("SRV records give ports, and a greater priority is for when the smaller one is gone")
    func services() throws {
        let (one, two) = (try NamedPeer("one", host: "127.0.0.21"), try NamedPeer("two", host: "127.0.0.22"))
        let spare = try NamedPeer("spare", host: "127.0.0.23")
        let dns = try DNSServer(
            in: files, ["127.0.0.21 one.test", "127.0.0.22 two.test", "127.0.0.23 spare.test"],
            [
                "--srv-host=_http._tcp.web.test,one.test,\(one.port),10,1",
                "--srv-host=_http._tcp.web.test,two.test,\(two.port),10,1",
                "--srv-host=_http._tcp.web.test,spare.test,\(spare.port),20,1",
            ])
        defer { withExtendedLifetime((one, two, spare, dns)) {} }
        let server = try server(
            dns, "addresses: \"srv:_http._tcp.web.test\", check: http, check-path: /check, check-every: 100ms, fall: 1")
        _ = try server.waitUntil {
            $0.upstreams?.count == 3 && $0.upstreams?.allSatisfy { $0.state == .up && $0.lastCheck == "ok" } == true
        }
        #expect(Set(try answers(server, 30)) == ["one", "two"])
        try one.setStatus(500)
        try two.setStatus(500)
        _ = try server.waitUntil { ($0.upstreams ?? []).count { $0.state == .down } == 2 }
        try expect(["spare"], server)
    }

    @Test("a service that has no records is told of, and its clients are refused in time")
    func noService() throws {
        let dns = try DNSServer(in: files, [])
        let server = try server(dns, "addresses: \"srv:_none._tcp.web.test\", connect-time: 300ms")
        try server.log("a name cannot be resolved")
        #expect(try answers(server).isEmpty)
        let report = try server.status()
        #expect(report.upstreams?.map(\.state) == [.unresolved], "\(report.table)")
        withExtendedLifetime(dns) {}
    }
}

/// A dnsmasq of its own, which knows what it is told.
final class DNSServer {
    let port: Int
    private let hosts: String
    private let process: PeerProcess

    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: "/usr/sbin/dnsmasq") }

    /// - Parameter hosts: lines of a hosts file.
    init(in files: TemporaryFiles, _ hosts: [String], _ arguments: [String] = []) throws {
        port = Int(try Wire.freePort())
        self.hosts = try files.write(hosts.joined(separator: "\n") + "\n", "hosts")
        process = try PeerProcess(
            [
                "python3", "-c", Self.keeperText, "/usr/sbin/dnsmasq", "-k", "--conf-file=/dev/null", "--pid-file",
                "--user=root", "--no-resolv",
                "--no-hosts",
                "--local=/test/", "--local-ttl=1", "--listen-address=127.0.0.1", "--bind-interfaces", "--port=\(port)",
                "--addn-hosts=\(self.hosts)", "--log-facility=-",
            ] + arguments)
        try process.expect("started")
    }

    /// Has it know other hosts.
    func set(_ lines: [String]) throws {
        try (lines.joined(separator: "\n") + "\n").write(toFile: hosts, atomically: false, encoding: .utf8)
        try process.send("reload\n")
    }

    func stop() throws {
        try process.send("stop\n")
        try process.expect("STOPPED")
    }

    /// Runs dnsmasq, which closes all descriptors that it inherits: Foundation takes a child that does so for ended. It must not
    /// have signals blocked, either.
    private static let keeperText = """
        import ctypes, signal, subprocess, sys
        def prepare():
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        child = subprocess.Popen(sys.argv[1:], preexec_fn=prepare)
        for line in sys.stdin:
            if line == 'reload\\n':
                child.send_signal(signal.SIGHUP)
            else:
                child.kill()
                child.wait()
                print('STOPPED', flush=True)
        """
}
