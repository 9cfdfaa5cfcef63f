import TLSRecords
import Testing

@testable import BatonConfiguration

@Suite("A configuration")
struct ConfigurationTests {
    private func problems(_ file: String?, flags: [String: SettingValue] = [:]) -> [ConfigurationProblem] {
        do {
            _ = try Configuration(file: file, flags: flags)
            return []
        } catch {
            return error.problems
        }
    }

    private let minimal = "listeners: {a: {address: ':443'}}\n"

    @Test("needs no more than a listener's address, and the rest has its defaults")
    func defaults() throws {
        let configuration = try Configuration(file: minimal)
        var expected = Configuration()
        expected.listeners["a"] = Listener()
        #expect(configuration == expected)
        #expect(configuration.listeners["a"]?.address.description == ":443")
        #expect(configuration.router.decide(.init(listener: "a")) == .target(.hello, route: "default"))
    }

    @Test("takes times, sizes, lists, addresses and names")
    func values() throws {
        let configuration = try Configuration(
            file: """
                workers: 4
                admin: 127.0.0.1:9180
                limits:
                  handshake-time: 250ms
                  header-size: 64K
                  connections-per-source: 10
                listeners:
                  main:
                    address: "[::1]:8443"
                    tls-versions: [1.3]
                    alpn: imap
                    idle-time: 2m
                    keepalive-idle: off
                    starttls: imap
                    ciphers: [TLS_AES_256_GCM_SHA384]
                upstreams:
                  web: {addresses: ["10.0.0.1:80", "unix:/run/web"], proxy-protocol: v2}
                """)
        #expect(configuration.workers == 4)
        #expect(configuration.admin?.description == "127.0.0.1:9180")
        #expect(configuration.limits.handshakeTime == .milliseconds(250))
        #expect(configuration.limits.headerSize == 65536)
        #expect(configuration.limits.connectionsPerSource == 10)
        let listener = try #require(configuration.listeners["main"])
        #expect(listener.versions == [.tls13] && listener.ciphers == [.aes256GCM] && listener.alpn == ["imap"])
        #expect(
            listener.idleTime == .seconds(120) && listener.liveness.keepaliveIdle == nil && listener.startTLS == .imap)
        let upstream = try #require(configuration.upstreams["web"])
        #expect(upstream.addresses.map(\.description) == ["10.0.0.1:80", "unix:/run/web"])
        #expect(upstream.proxyProtocol == .v2)
        #expect(configuration.router.decide(.init(listener: "main")) == .target(.upstream("web"), route: "default"))
    }

    @Test("a flag stands before the file, and adds to it")
    func flags() throws {
        let flags = try ConfigurationFlags([
            "--workers", "7", "--listeners.a.alpn=h2", "--listeners.a.alpn", "http/1.1", "--upstream", "localhost:80",
            "--upstream", "localhost:81", "--listen", "127.0.0.1:0", "--cert", "c.pem", "--key", "k.pem",
        ])
        let configuration = try Configuration(file: minimal + "workers: 2\nmove-every: 3\n", flags: flags.values)
        #expect(configuration.workers == 7 && configuration.moveEvery == 3)
        #expect(configuration.listeners["a"]?.alpn == ["h2", "http/1.1"])
        #expect(configuration.listeners["default"]?.address.description == "127.0.0.1:0")
        #expect(configuration.upstreams["default"]?.addresses.count == 2)
        #expect(configuration.routes["default"]?.target == .upstream("default"))
        #expect(configuration.certificates["default"]?.chain == "c.pem")
        #expect(try ConfigurationFlags(["--upstream", "echo"]).values == ["routes.default.target": .scalar("echo")])
    }

    @Test("works from flags alone")
    func flagsAlone() throws {
        let configuration = try Configuration(flags: ConfigurationFlags(["--listen", ":8443"]).values)
        #expect(configuration.listeners.count == 1)
    }

    @Test("an argument that is no flag with a value is refused, all of them at once")
    func badFlags() {
        let error = #expect(throws: ConfigurationError.self) {
            try ConfigurationFlags(["stray", "--workers", "--listen"])
        }
        #expect(error?.problems.map(\.code) == [.badFlag, .badFlag, .badFlag])
    }

    @Test(
        "an unknown key is refused with the nearest known one",
        arguments: [
            ("listeners.a.rol: client", "listeners.a.role"), ("listenres.a.role: client", "listeners.a.role"),
            ("worker: 3", "workers"), ("limits.handshake-tiem: 3s", "limits.handshake-time"),
            ("timeouts.handshake-time: 3s", "limits.handshake-time"), ("loglevel: info", "log-level"),
            ("upstreams.x.address: [a:1]", "upstreams.x.addresses"),
        ])
    func unknownKeys(line: String, nearest: String) throws {
        let found = problems(minimal + line).filter { $0.code == .unknownKey }
        #expect(found.count == 1)
        let problem = try #require(found.first)
        #expect(problem.key == line.split(separator: ":").first.map(String.init))
        #expect(problem.message.contains(nearest), "\(problem)")
    }

    @Test("everything that is wrong is said in one go, each in one line with key, value and what is allowed")
    func allAtOnce() {
        let found = problems(
            """
            workers: many
            colour: blue
            limits: {header-size: 12X, connections: -1}
            listeners:
              a: {address: "::1:443", role: [client, server], tls-versions: [1.1], idle-time: 5 s}
              b: {}
              "bad name": {address: ":1"}
            upstreams: {web: {addresses: []}}
            """)
        let lines = found.map(\.description)
        #expect(found.count == 10, "\(lines)")
        #expect(lines.allSatisfy { !$0.contains("\n") })
        #expect(lines.contains("workers: 'many' is not allowed; it must be a number from 1 to 1024, or auto"))
        #expect(
            lines.contains(
                "limits.header-size: '12X' is not allowed; it must be a size from 512 to 1M, as 64K, 1M or 2G"))
        #expect(
            lines.contains("listeners.a.role: ['client', 'server'] is not allowed; it must be server, client, detect"))
        #expect(lines.contains { $0.hasPrefix("upstreams.web.addresses: []") })
        #expect(lines.contains { $0.hasPrefix("listeners.bad name.address: 'bad name' is not a name") })
    }

    @Test("a section that is there but empty misses its required keys")
    func missing() {
        #expect(
            problems("listeners:\n  a:\n").map(\.description)
                == ["listeners.a.address: is missing; it must be \(Address.forms)"])
        #expect(problems(minimal + "certificates: {c: {chain: x.pem}}").map(\.code) == [.missing])
    }

    @Test(
        "a file that is not a mapping of keys is refused in one line",
        arguments: ["- a\n- b\n", "a: [", "listeners:\n  - address: :443\n", "a: 1\na: 2\n", "\t: x", "a: \u{1}"])
    func notYAML(text: String) {
        let found = problems(text)
        #expect(found.map(\.code) == [.unreadable])
        #expect(found.allSatisfy { !$0.description.contains("\n") })
    }

    @Test(
        "a group given a value, or a setting given a mapping, is refused",
        arguments: ["listeners: x", "limits: 3", "workers: {a: 1}"])
    func wrongShape(line: String) {
        #expect(problems(line, flags: ["listeners.b.address": .scalar(":1")]).count == 1)
    }

    @Test("a file of comments says nothing")
    func comments() throws {
        #expect(problems("# nothing\n---\n\n").map(\.key) == ["listeners"])
    }

    @Test(
        "settings that contradict each other are refused",
        arguments: [
            ("listeners.a.starttls: smtp\nlisteners.a.tls: false", "listeners.a.starttls"),
            ("listeners.a.starttls: smtp\nlisteners.a.role: detect", "listeners.a.starttls"),
            ("listeners.a.starttls: smtp\nlisteners.a.alpn: h2\nroutes.r.target: echo", "listeners.a.alpn"),
            ("listeners.a.starttls: postgres\nlisteners.a.alpn: db", "listeners.a.alpn"),
            ("listeners.a.alpn: h2", "listeners.a.alpn"),
            ("listeners.a.alpn: [h2, http/1.1]\nroutes.r.target: hello", "listeners.a.alpn"),
            (
                "listeners.a.alpn: h2\nroutes.r.target: echo\nroutes.s.target: echo\nroutes.s.path: /s",
                "listeners.a.alpn"
            ),
            (
                "listeners.a.alpn: h2\nroutes.r.target: echo\nroutes.s.target: hello\nroutes.s.server-names: '*.b'",
                "listeners.a.alpn"
            ),
            ("listeners.a.proxy-protocol-from: 10.0.0.0/8", "listeners.a.proxy-protocol-from"),
            (
                "listeners.b.address: unix:/s\nlisteners.b.proxy-protocol: v1\nlisteners.b.proxy-protocol-from: ::/0",
                "listeners.b.proxy-protocol-from"
            ),
            ("listeners.a.role: client\nlisteners.a.tls: false", "listeners.a.role"),
            ("listeners.a.client-auth: require", "listeners.a.client-auth"),
            ("listeners.a.certificates: [x]", "listeners.a.certificates"),
            ("listeners.a.ciphers: [TLS_AES_128_GCM_SHA256]", "listeners.a.ciphers"),
            ("listeners.b.address: :443", "listeners.b.address"), ("routes.r.target: nowhere", "routes.r.target"),
            ("routes.r.target: echo\nroutes.r.listeners: [x]", "routes.r.listeners"),
            ("routes.r.target: echo\nroutes.s.target: hello", "routes.s"),
            ("routes.r.target: echo\nroutes.r.affinity: query:token", "routes.r.affinity"),
            (
                "listeners.a.alpn: h2\nupstreams.u.addresses: a:1\nroutes.r.target: u\nroutes.r.affinity: query:a",
                "listeners.a.alpn"
            ), ("group: www", "group"),
            ("upstreams.u.addresses: a:1\nupstreams.v.addresses: a:2", "routes"),
            ("upstreams.echo.addresses: a:1", "upstreams.echo"),
            ("upstreams.hello.addresses: a:1\nroutes.r.target: hello", "upstreams.hello"),
            ("upstreams.u.addresses: a:1\nupstreams.u.tls-name: b", "upstreams.u.tls-name"),
            ("upstreams.u.addresses: unix:/a\nupstreams.u.tls: true", "upstreams.u.tls-name"),
            (
                "upstreams.u.addresses: a:1\nupstreams.u.tls: true\nupstreams.u.tls-key: b",
                "upstreams.u.tls-certificate"
            ),
            ("listeners.a.client-crl: b", "listeners.a.client-crl"),
            ("listeners.a.role: detect\nlisteners.a.strict-sni: true", "listeners.a.strict-sni"),
            ("listeners.a.tls: false\nlisteners.a.strict-sni: true", "listeners.a.strict-sni"),
            (
                "session-tickets.key-file: /k\nsession-tickets.rotate-every: 'off'".replacing("'", with: "\""),
                "session-tickets.key-file"
            ),
        ])
    func contradictions(lines: String, key: String) {
        let found = problems(minimal.replacing("'", with: "\"") + lines)
        #expect(found.map(\.code) == [.contradiction] && found.map(\.key) == [key], "\(found)")
    }

    @Test(
        "HTTP/2 is allowed wherever no request line is asked of it",
        arguments: [
            "routes.r.target: echo\nroutes.s.target: hello\nroutes.s.alpn: [http/1.1]\nroutes.s.path: /s",
            "routes.r.target: echo\nroutes.r.listeners: a\nroutes.s.target: hello\nroutes.s.path: /s",
            "routes.r.target: echo\nroutes.r.alpn: h2\nroutes.s.target: hello",
        ])
    func http2(lines: String) throws {
        let found = problems(minimal + "listeners.a.alpn: [h2, http/1.1]\n" + lines)
        #expect(found.isEmpty, "\(found)")
    }

    @Test("a check asks for every file, directory and account, and tells all that are not there")
    func check() throws {
        let configuration = try Configuration(
            file: minimal + """
                user: www
                limits.relay-memory: 2G
                listeners.b: {address: "unix:/sock", client-auth: require, client-ca: ca.pem}
                certificates.c: {chain: c.pem, key: /etc/k.pem}
                """)
        var asked: [Configuration.Requirement] = []
        try configuration.check { requirement in
            asked.append(requirement)
            return nil
        }
        #expect(
            Set(asked) == [
                .writableDirectory("/run/baton"), .user("www"), .readableFile("c.pem"), .readableFile("/etc/k.pem"),
                .writableDirectory("/"), .readableFile("ca.pem"), .memory(2 << 30),
            ])
        let error = #expect(throws: ConfigurationError.self) { try configuration.check { _ in "does not exist" } }
        #expect(error?.problems.count == asked.count)
        #expect(error?.description.contains("certificates.c.key: the file /etc/k.pem does not exist") == true)
        #expect(error?.description.contains("limits.relay-memory: 2G of memory does not exist") == true)
        // What suits the machine needs no check.
        #expect(try Configuration(file: minimal).requirements.allSatisfy { $0.key != "limits.relay-memory" })
    }

    @Test("control characters and long values do not reach a message whole")
    func messages() {
        let found = problems(minimal, flags: ["workers": .scalar("\u{1b}[31m" + String(repeating: "x", count: 5000))])
        #expect(found.count == 1 && found[0].description.count < 200 && !found[0].description.contains("\u{1b}"))
    }
}
