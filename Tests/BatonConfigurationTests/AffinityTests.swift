import Testing

@testable import BatonConfiguration

@Suite("The affinity of a route")
struct AffinityTests {
    private func key(_ field: String, _ target: String) throws -> UInt64? {
        try #require(Affinity("query:\(field)")).key(of: RequestLine(method: "GET", target: target))
    }

    @Test("is a field of the query", arguments: ["query:token", "query:a[]", "query:%C3%A4"])
    func accepted(text: String) throws {
        #expect(try #require(Affinity(text)).description == text)
    }

    @Test(
        "is nothing else",
        arguments: ["", "token", "query:", "header:x", "query:a=b", "query:a&b", "query:a b", "query:a#"])
    func refused(text: String) { #expect(Affinity(text) == nil) }

    @Test("looks at the first field of the name, as it was sent")
    func value() throws {
        let wanted = try key("token", "/x?token=abc")
        #expect(wanted != nil)
        for same in [
            "/y?token=abc", "/?a=b&token=abc&c", "/?token=abc#token=x", "http://h/?&&token=abc&token=d",
            "/?token&token=abc",
        ] {
            #expect(try key("token", same) == wanted, "\(same)")
        }
        for other in ["/?token=ab", "/?token=abc=", "/?token=ABC", "/?token=%61bc"] {
            #expect(try key("token", other) != wanted, "\(other)")
        }
        for none in [
            "/", "/token=abc", "/?", "/?token", "/?token=", "/?Token=abc", "/?xtoken=abc", "/#?token=abc", "*",
        ] {
            #expect(try key("token", none) == nil, "\(none)")
        }
    }

    @Test("orders addresses alike, in whatever order they are written, in this version and the next")
    func order() throws {
        let addresses = try ["10.0.0.1:80", "10.0.0.2:80", "unix:/run/c", "[::1]:80"].map { try Address($0) }
        let key = try #require(try key("t", "/?t=golden"))
        let ordered = Affinity.order(addresses, for: key)
        #expect(Set(ordered) == Set(addresses))
        #expect(Affinity.order(addresses.reversed(), for: key) == ordered)
        #expect(ordered.map { "\($0)" } == ["[::1]:80", "unix:/run/c", "10.0.0.1:80", "10.0.0.2:80"])
    }

    @Test("an address that goes leaves the others' values where they are, and spreads its own")
    func change() throws {
        let addresses = try (1...5).map { try Address("10.0.0.\($0):80") }
        var counts: [Address: Int] = [:]
        var heirs: [Address: Int] = [:]
        for value in 0..<1_000 {
            let key = try #require(try key("t", "/?t=\(value)"))
            let before = Affinity.order(addresses, for: key)
            let after = Affinity.order(Array(addresses.dropLast()), for: key)
            #expect(after == before.filter { $0 != addresses[4] })
            counts[before[0], default: 0] += 1
            if before[0] == addresses[4] { heirs[after[0], default: 0] += 1 }
        }
        #expect(counts.count == 5 && counts.values.allSatisfy { 140...260 ~= $0 }, "\(counts)")
        #expect(heirs.count == 4, "\(heirs)")
    }

    @Test("waits for the request, and only where the route can be chosen")
    func needs() throws {
        var relay = Route()
        relay.target = .upstream("u")
        relay.serverNames = [try #require(ServerNamePattern("relay.example"))]
        relay.affinity = Affinity("query:token")
        var rest = Route()
        rest.target = .echo
        let router = Router(routes: ["relay": relay, "rest": rest])
        #expect(router.decide(.init(listener: "a", hello: .init())) == .target(.echo, route: "rest"))
        let hello = Router.Hello(serverName: "relay.example")
        #expect(router.decide(.init(listener: "a", hello: hello)) == .needs(.requestLine))
        let line = RequestLine(method: "GET", target: "/")
        #expect(
            router.decide(.init(listener: "a", hello: hello, request: line)) == .target(.upstream("u"), route: "relay"))
    }
}
