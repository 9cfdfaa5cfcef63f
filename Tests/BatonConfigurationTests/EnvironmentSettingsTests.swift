import Testing

@testable import BatonConfiguration

@Suite("Settings in the environment")
struct EnvironmentSettingsTests {
    private let minimal = "listeners: {a: {address: ':443'}}\n"

    private func read(
        _ environment: [String: String], file: String? = nil, flags: [String: SettingValue] = [:]
    ) throws -> Configuration {
        try ConfigurationSources(file: file, path: "b.yaml", environment: environment, flags: flags).configuration()
    }

    private func lines(_ environment: [String: String], file: String? = nil) -> [String] {
        do {
            _ = try read(environment, file: file)
            return []
        } catch { return (error as? ConfigurationError)?.lines ?? ["\(error)"] }
    }

    @Test("every key is a variable, and that variable is the key", arguments: SettingGroup.all)
    func everyKey(group: SettingGroup) {
        for row in group.rows {
            let key = group.key(row.key, of: "my-web")
            let variable = EnvironmentSettings.variable(of: key)
            #expect(variable.allSatisfy { $0.isUppercase || $0 == "_" }, "\(variable)")
            let settings = EnvironmentSettings([variable: "x"])
            #expect(settings.variables == [key: variable])
            #expect(settings.strays.isEmpty && settings.problems.isEmpty)
        }
    }

    @Test("a flag stands before the environment, that before the file, and that before the default")
    func precedence() throws {
        let file = minimal + "workers: 2\nmove-every: 2\nbacklog: 2\n"
        let environment = ["BATON_WORKERS": "3", "BATON_MOVE_EVERY": "3", "BATON_LIMITS_CONNECTIONS": "3"]
        let configuration = try read(environment, file: file, flags: ["workers": .scalar("4")])
        #expect(configuration.workers == 4 && configuration.moveEvery == 3 && configuration.backlog == 2)
        #expect(configuration.limits.connections == 3)
        #expect(configuration.limits.handshakes == Limits().handshakes)
    }

    @Test("a server needs no more than one variable")
    func short() throws {
        let configuration = try read([
            "BATON_LISTEN": ":8443", "BATON_CERT": "/c.pem", "BATON_KEY": "/k.pem", "BATON_UPSTREAM": "127.0.0.1:80",
        ])
        #expect(configuration.listeners["default"]?.address == .tcp(.any, port: 8443))
        #expect(configuration.certificates["default"]?.key == "/k.pem")
        #expect(configuration.upstreams["default"]?.addresses.count == 1)
        #expect(configuration.routes["default"]?.target == .upstream("default"))
        let echo = try read(["BATON_LISTEN": ":8443", "BATON_UPSTREAM": "echo"])
        #expect(echo.routes["default"]?.target == .echo && echo.upstreams.isEmpty)
    }

    @Test("lists are divided by commas, and a path may have one in it")
    func lists() throws {
        let configuration = try read([
            "BATON_LISTENERS_WEB_ADDRESS": ":443", "BATON_LISTENERS_WEB_ALPN": "postgresql, http/1.1",
            "BATON_LISTENERS_WEB_GROUPS": "x25519", "BATON_CERTIFICATES_A_CHAIN": "/a,b.pem",
            "BATON_CERTIFICATES_A_KEY": "/a,b.key",
        ])
        #expect(configuration.listeners["web"]?.alpn == ["postgresql", "http/1.1"])
        #expect(configuration.listeners["web"]?.groups == [.x25519])
        #expect(configuration.certificates["a"]?.chain == "/a,b.pem")
    }

    @Test("a name is the one that the file has; if that has none, there is no other sign in it than -")
    func names() throws {
        let variable = ["BATON_LISTENERS_MY_WEB_IDLE_TIME": "5s"]
        for name in ["my-web", "my_web"] {
            let configuration = try read(variable, file: "listeners: {\(name): {address: ':443'}}\n")
            #expect(configuration.listeners.mapValues(\.idleTime) == [name: .seconds(5)])
        }
        let new = try read(variable.merging(["BATON_LISTENERS_MY_WEB_ADDRESS": ":443"]) { $1 })
        #expect(new.listeners.keys.map { $0 } == ["my-web"])
        let both = lines(variable, file: "listeners: {my-web: {address: ':443'}, my_web: {address: ':444'}}\n")
        #expect(
            both == [
                "BATON_LISTENERS_MY_WEB_IDLE_TIME: may be listeners.my-web.idle-time or listeners.my_web.idle-time; set it in the file"
            ])
    }

    @Test("of the settings that the end of a variable could be the longest holds")
    func longest() {
        let settings = EnvironmentSettings(["BATON_UPSTREAMS_A_SOURCE_ADDRESSES": "10.0.0.1"])
        #expect(settings.variables.keys.map { $0 } == ["upstreams.a.source-addresses"])
    }

    @Test("a variable without a value counts as none")
    func empty() throws {
        #expect(try read(["BATON_USER": "", "BATON_LISTEN": ":443"]).user == nil)
    }

    @Test(
        "a variable that is no setting is told with the nearest that is one",
        arguments: [
            ("BATON_LISTN", "BATON_LISTEN"), ("BATON_LIMIT_CONNECTIONS", "BATON_LIMITS_CONNECTIONS"),
            ("BATON_LISTENERS_MY_WEB_ADRESS", "BATON_LISTENERS_MY_WEB_ADDRESS"),
            ("BATON_LISTNERS_WEB_ADDRESS", "BATON_LISTENERS_WEB_ADDRESS"), ("BATON_WORKER", "BATON_WORKERS"),
        ])
    func unknown(variable: String, nearest: String) throws {
        let sources = try ConfigurationSources(environment: [variable: "hunter2", "BATON_LISTEN": ":443"])
        #expect(sources.notices == ["\(variable) in the environment is no setting; the nearest is \(nearest)"])
    }

    @Test("but not what Kubernetes sets beside a service of that name, nor what is nobody's")
    func others() {
        for variable in [
            "BATON_SERVICE_HOST", "BATON_SERVICE_PORT", "BATON_SERVICE_PORT_HTTPS", "BATON_PORT",
            "BATON_PORT_443_TCP_ADDR", "BATON_CONFIG", "baton_workers", "BATONS",
        ] {
            let settings = EnvironmentSettings([variable: "x"])
            #expect(settings.strays.isEmpty && settings.variables.isEmpty, "\(variable)")
        }
    }

    @Test("what is wrong is told with the variable")
    func wrong() {
        #expect(
            lines(["BATON_LISTEN": ":443", "BATON_WORKERS": "0"]) == [
                "BATON_WORKERS: workers: '0' is not allowed; it must be a number from 1 to 1024, or auto"
            ])
        #expect(
            lines(["BATON_LISTEN": ":443", "BATON_LISTENERS_DEFAULT_ADDRESS": ":444"]) == [
                "BATON_LISTENERS_DEFAULT_ADDRESS: listeners.default.address: BATON_LISTEN says the same; set one of the two"
            ])
        #expect(
            lines(["BATON_LISTEN": ":443", "BATON_GROUP": "g"]) == [
                "BATON_GROUP: group: is set without user; set user too"
            ])
    }

    @Test("a private key in place of its file's name is refused, and not told")
    func secret() {
        let pem = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
        let told = lines(["BATON_LISTEN": ":443", "BATON_CERT": "/c.pem", "BATON_KEY": pem])
        #expect(told == ["BATON_KEY: certificates.default.key: '-----BEGIN…' is not allowed; it must be a path"])
    }
}
