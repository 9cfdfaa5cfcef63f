import BatonCore
import Testing

@testable import BatonConfiguration

@Suite("The affinity of a route")
struct AffinityTests {
    private func key(_ field: String, _ target: String) throws -> UInt64? {
        try #require(Affinity("query:\(field)")).key(of: RequestLine(method: "GET", target: target))
    }

    @Test(
        "is a field of the query, the client's address or the server name",
        arguments: ["query:token", "query:a[]", "query:%C3%A4", "source", "server-name"])
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
        let ordered = Self.order(addresses, for: key)
        #expect(Set(ordered) == Set(addresses))
        #expect(Self.order(addresses.reversed(), for: key) == ordered)
        #expect(Self.order(addresses, weights: [2, 2, 2, 2], for: key) == ordered)
        #expect(ordered.map { "\($0)" } == ["[::1]:80", "unix:/run/c", "10.0.0.1:80", "10.0.0.2:80"])
    }

    @Test("an address that goes leaves the others' values where they are, and spreads its own")
    func change() throws {
        let addresses = try (1...5).map { try Address("10.0.0.\($0):80") }
        var counts: [Address: Int] = [:]
        var heirs: [Address: Int] = [:]
        for value in 0..<1_000 {
            let key = try #require(try key("t", "/?t=\(value)"))
            let before = Self.order(addresses, for: key)
            let after = Self.order(Array(addresses.dropLast()), for: key)
            #expect(after == before.filter { $0 != addresses[4] })
            counts[before[0], default: 0] += 1
            if before[0] == addresses[4] { heirs[after[0], default: 0] += 1 }
        }
        #expect(counts.count == 5 && counts.values.allSatisfy { 140...260 ~= $0 }, "\(counts)")
        #expect(heirs.count == 4, "\(heirs)")
    }

    private static func order(_ addresses: [Address], weights: [Double]? = nil, for key: UInt64) -> [Address] {
        Affinity.order(addresses.map { "\($0)" }, weights: weights, for: key).map { addresses[$0] }
    }

    @Test("a weight is a share of the values, and a change of it moves only what it must")
    func weights() throws {
        let addresses = try (1...3).map { try Address("10.0.0.\($0):80") }
        var counts = [0, 0, 0]
        for value in 0..<2_000 {
            let key = try #require(try key("t", "/?t=\(value)"))
            let even = Self.order(addresses, weights: [1, 1, 1], for: key)[0]
            let chosen = Self.order(addresses, weights: [1, 1, 2], for: key)[0]
            #expect(chosen == even || chosen == addresses[2])
            counts[addresses.firstIndex(of: chosen)!] += 1
        }
        #expect(430...570 ~= counts[0] && 430...570 ~= counts[1] && 920...1_080 ~= counts[2], "\(counts)")
    }

    @Test("knows the client's address, also over IPv6 sockets, and the server name in any case")
    func connectionKeys() throws {
        let (source, name) = (try #require(Affinity("source")), try #require(Affinity("server-name")))
        let (v4, mapped) = (try #require(IPAddress("192.0.2.1")), try #require(IPAddress("::ffff:192.0.2.1")))
        let other = try #require(IPAddress("192.0.2.2"))
        #expect(source.key(source: v4, serverName: nil) == source.key(source: mapped, serverName: "a"))
        #expect(source.key(source: v4, serverName: nil) != source.key(source: other, serverName: nil))
        #expect(source.key(source: nil, serverName: "a") == nil)
        #expect(name.key(source: v4, serverName: "A.example") == name.key(source: nil, serverName: "a.EXAMPLE."))
        #expect(name.key(source: v4, serverName: "a.example") != name.key(source: v4, serverName: "b.example"))
        #expect(name.key(source: v4, serverName: nil) == nil)
        #expect(!source.needsRequest && !name.needsRequest && Affinity("query:a")?.needsRequest == true)
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
